-- Deals of every stage, so that a migration of "Deal" meets all of them.
INSERT INTO "Deal" ("id", "orgId", "companyId", "contactId", "ownerId", "title", "stage", "amount", "updatedAt") VALUES
  ('deal_1', 'org_acme', 'cmp_globex', 'con_1', 'usr_ada', 'Hammock district', 'NEW', NULL, '2025-10-28 09:00:00'),
  ('deal_2', 'org_acme', 'cmp_initech', 'con_2', 'usr_ben', 'TPS reports', 'PROPOSAL', 12500.00, '2025-10-28 09:00:00'),
  ('deal_3', 'org_nord', 'cmp_hafen', 'con_3', 'usr_lena', 'Kaimauer', 'WON', 990000.50, '2025-10-28 09:00:00')
ON CONFLICT ("id") DO NOTHING;
