INSERT INTO "Category" ("id", "name", "type") VALUES
  ('category-common', 'common', 'Role'),
  ('category-management', 'management', 'Role')
ON CONFLICT ("type", "name") DO NOTHING;

INSERT INTO "RoleClassification" ("id", "role_id", "category_id") VALUES
  ('class-user', 'role-user', 'category-common'),
  ('class-admin', 'role-admin', 'category-management')
ON CONFLICT ("role_id", "category_id") DO NOTHING;

INSERT INTO "Group" ("id", "name", "type") VALUES
  ('group-everyone', 'everyone', 'Role')
ON CONFLICT ("type", "name") DO NOTHING;

INSERT INTO "RoleAssociation" ("id", "role_id", "group_id")
SELECT 'assoc-' || "id", "id", 'group-everyone' FROM "Role"
ON CONFLICT ("role_id", "group_id") DO NOTHING;
