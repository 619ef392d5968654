-- CreateEnum
CREATE TYPE "TaskDifficulty" AS ENUM ('EASY', 'NORMAL', 'HARD');

-- AlterTable
ALTER TABLE "Task" ADD COLUMN     "difficulty" "TaskDifficulty" NOT NULL DEFAULT 'NORMAL';
