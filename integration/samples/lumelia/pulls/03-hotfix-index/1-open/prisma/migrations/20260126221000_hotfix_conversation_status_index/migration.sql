-- Applied by hand on 2026-01-26; marked with: prisma migrate resolve --applied "hotfix_conversation_status_index"
CREATE INDEX IF NOT EXISTS "Conversation_tenantId_status_idx" ON "Conversation"("tenantId", "status");
