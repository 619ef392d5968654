-- One row as it is in production: published, twice under the same deviation_id by a retry.
INSERT INTO "deviations" ("id", "user_id", "title", "status", "deviation_id", "scheduled_at") VALUES
  ('10000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000001', 'Sky castle', 'PUBLISHED', 'dev-1001', '2025-01-01 10:00:00'),
  ('10000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000001', 'Sky castle', 'PUBLISHED', 'dev-1001', '2025-01-01 10:00:05'),
  ('10000000-0000-4000-8000-000000000003', '00000000-0000-4000-8000-000000000001', 'Slime village; at night', 'SCHEDULED', NULL, '2025-02-01 10:00:00'),
  ('10000000-0000-4000-8000-000000000004', '00000000-0000-4000-8000-000000000002', 'Dragon''s market', 'DRAFT', NULL, NULL)
ON CONFLICT ("id") DO UPDATE SET "deviation_id" = EXCLUDED."deviation_id", "status" = EXCLUDED."status";
