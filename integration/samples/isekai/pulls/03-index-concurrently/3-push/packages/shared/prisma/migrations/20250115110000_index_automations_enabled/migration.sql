-- CreateIndex
CREATE INDEX "automations_enabled_idx" ON "automations"("enabled");
