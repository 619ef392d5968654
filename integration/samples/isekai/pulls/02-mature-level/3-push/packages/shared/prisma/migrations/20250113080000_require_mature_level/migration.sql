-- AlterTable
ALTER TABLE "deviations" ALTER COLUMN "mature_level" SET NOT NULL,
ALTER COLUMN "mature_level" SET DEFAULT 'none';
