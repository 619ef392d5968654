-- Backfill
UPDATE "deviations" SET "mature_level" = 'none' WHERE "mature_level" IS NULL;
