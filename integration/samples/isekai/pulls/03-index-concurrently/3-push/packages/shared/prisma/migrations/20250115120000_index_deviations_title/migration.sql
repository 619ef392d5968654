-- CreateIndex
CREATE INDEX CONCURRENTLY "deviations_title_idx" ON "deviations"("title");
