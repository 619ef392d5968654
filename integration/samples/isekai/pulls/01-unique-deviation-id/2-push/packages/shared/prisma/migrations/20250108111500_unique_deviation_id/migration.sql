-- Keep the first of every published deviation.
UPDATE "deviations" AS later SET "deviation_id" = NULL
FROM "deviations" AS first
WHERE first."deviation_id" = later."deviation_id" AND first."scheduled_at" < later."scheduled_at";

-- CreateIndex
CREATE UNIQUE INDEX "deviations_deviation_id_key" ON "deviations"("deviation_id");
