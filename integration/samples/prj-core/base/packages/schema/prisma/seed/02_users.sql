INSERT INTO "User" ("id", "name", "phone", "email", "password") VALUES
  ('user-super-admin', 'Super Admin', '010-0000-0000', 'admin@prj-core.test', 'not-a-real-hash'),
  ('user-kim', 'Kim Minji', '010-1111-1111', 'minji@prj-core.test', 'not-a-real-hash'),
  ('user-lee', 'Lee Jun', '010-2222-2222', 'jun@prj-core.test', 'not-a-real-hash')
ON CONFLICT ("email") DO UPDATE SET "name" = EXCLUDED."name";

INSERT INTO "Profile" ("id", "nickname", "user_id") VALUES
  ('profile-kim', 'minji', 'user-kim')
ON CONFLICT ("id") DO NOTHING;
