-- AlterTable
ALTER TABLE "Deal" DROP COLUMN "source";
