-- RenameColumn
ALTER TABLE "User" RENAME COLUMN "full_name" TO "displayName";
