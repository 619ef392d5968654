INSERT INTO "Tenant" ("id", "name", "slug") VALUES
  ('tnt_lum', 'Lumelia', 'lumelia'),
  ('tnt_cafe', 'Café Ōtsuka', 'cafe')
ON CONFLICT ("id") DO NOTHING;

INSERT INTO "User" ("id", "tenantId", "email", "full_name", "role") VALUES
  ('usr_mei', 'tnt_lum', 'mei@lumelia.test', 'Mei Lin', 'ADMIN'),
  ('usr_sam', 'tnt_cafe', 'sam@cafe.test', 'Sam', 'AGENT')
ON CONFLICT ("id") DO NOTHING;
