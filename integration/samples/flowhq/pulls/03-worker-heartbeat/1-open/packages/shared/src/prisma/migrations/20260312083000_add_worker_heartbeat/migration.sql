-- AlterTable
ALTER TABLE "worker_processes" ADD COLUMN "heartbeat_at" TIMESTAMP(3);
