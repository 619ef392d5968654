-- AlterTable
ALTER TABLE "deviations" ADD COLUMN "mature_level" TEXT;
