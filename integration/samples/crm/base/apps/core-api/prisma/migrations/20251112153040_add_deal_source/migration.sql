-- AlterTable
ALTER TABLE "Deal" ADD COLUMN "source" TEXT;
