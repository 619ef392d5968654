-- AlterTable
ALTER TABLE "tenants" ADD COLUMN "timezone" TEXT NOT NULL DEFAULT 'Africa/Dar_es_Salaam';
