-- AlterTable
ALTER TABLE "Conversation" ALTER COLUMN "channel" SET NOT NULL;
