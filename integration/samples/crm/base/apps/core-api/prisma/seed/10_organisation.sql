INSERT INTO "Org" ("id", "name", "slug") VALUES
  ('org_acme', 'Acme Logistics', 'acme'),
  ('org_nord', 'Nordlicht GmbH', 'nordlicht')
ON CONFLICT ("id") DO NOTHING;

INSERT INTO "User" ("id", "orgId", "email", "name", "role") VALUES
  ('usr_ada', 'org_acme', 'ada@acme.test', 'Ada Stone', 'OWNER'),
  ('usr_ben', 'org_acme', 'ben@acme.test', 'Ben Okafor', 'MEMBER'),
  ('usr_lena', 'org_nord', 'lena@nordlicht.test', 'Lena Weiß', 'OWNER')
ON CONFLICT ("id") DO NOTHING;

INSERT INTO "Company" ("id", "orgId", "name", "domain", "updatedAt") VALUES
  ('cmp_globex', 'org_acme', 'Globex', 'globex.test', '2025-10-27 09:00:00'),
  ('cmp_initech', 'org_acme', 'Initech; a subsidiary', 'initech.test', '2025-10-27 09:00:00'),
  ('cmp_hafen', 'org_nord', 'Hafen & Co', NULL, '2025-10-27 09:00:00')
ON CONFLICT ("id") DO NOTHING;
