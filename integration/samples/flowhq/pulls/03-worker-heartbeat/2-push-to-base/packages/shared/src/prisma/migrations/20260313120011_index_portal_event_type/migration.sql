-- CreateIndex
CREATE INDEX "portal_event_logs_tenant_id_event_type_idx" ON "portal_event_logs"("tenant_id", "event_type");
