DROP INDEX "Conversation_tenantId_status_idx";
