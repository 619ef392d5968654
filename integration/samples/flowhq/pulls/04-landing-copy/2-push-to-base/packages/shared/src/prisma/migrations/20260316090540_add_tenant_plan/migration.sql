-- AlterTable
ALTER TABLE "tenants" ADD COLUMN "plan" TEXT NOT NULL DEFAULT 'free';
