INSERT INTO "Conversation" ("id", "tenantId", "assigneeId", "subject", "status", "updatedAt") VALUES
  ('cnv_1', 'tnt_lum', 'usr_mei', 'Invoice of March', 'OPEN', '2025-12-20 08:00:00'),
  ('cnv_2', 'tnt_lum', NULL, 'It does not work; please help', 'PENDING', '2025-12-20 08:00:00'),
  ('cnv_3', 'tnt_cafe', 'usr_sam', 'Table for two', 'CLOSED', '2025-12-20 08:00:00')
ON CONFLICT ("id") DO NOTHING;

INSERT INTO "Message" ("id", "conversationId", "body") VALUES
  ('msg_1', 'cnv_1', 'Where is it?'),
  ('msg_2', 'cnv_1', $$Here: it's attached; see "invoice.pdf".$$),
  ('msg_3', 'cnv_3', 'At eight, please.')
ON CONFLICT ("id") DO NOTHING;
