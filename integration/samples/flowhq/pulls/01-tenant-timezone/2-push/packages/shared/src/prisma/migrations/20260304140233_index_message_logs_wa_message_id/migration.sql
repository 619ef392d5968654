-- CreateIndex
CREATE INDEX "message_logs_wa_message_id_idx" ON "message_logs"("wa_message_id");
