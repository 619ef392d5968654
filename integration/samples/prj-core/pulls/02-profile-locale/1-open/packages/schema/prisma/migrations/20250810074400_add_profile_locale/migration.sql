-- AlterTable
ALTER TABLE "Profile" ADD COLUMN     "locale" TEXT NOT NULL DEFAULT 'ko-KR';
