-- AlterTable
ALTER TABLE "Conversation" ADD COLUMN     "channel" TEXT;
