-- Migration: revert_add_tags
ALTER TABLE "deviations" DROP COLUMN "tags";
