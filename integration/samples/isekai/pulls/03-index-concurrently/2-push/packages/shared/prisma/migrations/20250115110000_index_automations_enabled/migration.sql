-- CreateIndex
CREATE INDEX "automations_enabled_idx" ON "automations"("enabled");

-- CreateIndex
CREATE INDEX CONCURRENTLY "deviations_title_idx" ON "deviations"("title");
