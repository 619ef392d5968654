INSERT INTO "Space" ("id", "name") VALUES
  ('space-super-admin', 'Super Admin Space'),
  ('space-gym', 'Gangnam Gym'),
  ('space-pool', 'Jamsil Pool'),
  ('space-court', 'Mapo Court')
ON CONFLICT ("name") DO NOTHING;

INSERT INTO "Ground" ("id", "name", "address", "phone", "business_no", "space_id") VALUES
  ('ground-gym', 'Gangnam Gym', '1 Teheran-ro, Seoul', '02-000-0000', '000-00-00001', 'space-gym'),
  ('ground-pool', 'Jamsil Pool', '25 Olympic-ro, Seoul', '02-000-0001', '000-00-00002', 'space-pool'),
  ('ground-court', 'Mapo Court', '3 Mapo-daero, Seoul', '02-000-0002', '000-00-00003', 'space-court')
ON CONFLICT ("business_no") DO UPDATE SET "name" = EXCLUDED."name";

INSERT INTO "Tenant" ("id", "main", "user_id", "role_id", "space_id") VALUES
  ('tenant-super-admin', true, 'user-super-admin', 'role-super-admin', 'space-super-admin'),
  ('tenant-kim', true, 'user-kim', 'role-user', 'space-gym'),
  ('tenant-lee', false, 'user-lee', 'role-admin', 'space-gym')
ON CONFLICT ("user_id", "space_id", "role_id") DO UPDATE SET "main" = EXCLUDED."main";
