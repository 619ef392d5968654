-- CreateIndex
CREATE UNIQUE INDEX "deviations_deviation_id_key" ON "deviations"("deviation_id");
