-- AlterTable
ALTER TABLE "Deal" ADD COLUMN     "probability" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "forecastAt" TIMESTAMP(3)
ADD COLUMN     "forecastNote" TEXT;
