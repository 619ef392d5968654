-- CreateEnum
CREATE TYPE "MessageStatus" AS ENUM ('QUEUED', 'SENT', 'DELIVERED', 'FAILED');

-- AlterTable
ALTER TABLE "message_logs" ADD COLUMN "status" "MessageStatus" NOT NULL DEFAULT 'SENT';
