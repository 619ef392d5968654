INSERT INTO "Role" ("id", "name", "updated_at") VALUES
  ('role-super-admin', 'SUPER_ADMIN', now()),
  ('role-admin', 'ADMIN', now()),
  ('role-user', 'USER', now())
ON CONFLICT ("name") DO UPDATE SET "updated_at" = EXCLUDED."updated_at";
