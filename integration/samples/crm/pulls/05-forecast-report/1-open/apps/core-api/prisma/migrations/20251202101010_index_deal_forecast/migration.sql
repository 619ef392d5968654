-- CreateIndex
CREATE INDEX "Deal_orgId_forecastAt_idx" ON "Deal"("orgId", "forecastAt");
