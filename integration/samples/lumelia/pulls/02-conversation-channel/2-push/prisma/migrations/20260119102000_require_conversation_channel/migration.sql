-- Backfill: everything before this was e-mail.
UPDATE "Conversation" SET "channel" = 'email' WHERE "channel" IS NULL;

-- AlterTable
ALTER TABLE "Conversation" ALTER COLUMN "channel" SET NOT NULL;
