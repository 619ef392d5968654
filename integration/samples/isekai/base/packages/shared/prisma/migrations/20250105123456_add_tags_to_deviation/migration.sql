-- AlterTable
ALTER TABLE "deviations" ADD COLUMN "tags" TEXT[] DEFAULT ARRAY[]::TEXT[];
