INSERT INTO "users" ("id", "email", "tier") VALUES
  ('00000000-0000-4000-8000-000000000001', 'pro@isekai.test', 'PRO'),
  ('00000000-0000-4000-8000-000000000002', 'free@isekai.test', 'FREE')
ON CONFLICT ("id") DO UPDATE SET "tier" = EXCLUDED."tier";
