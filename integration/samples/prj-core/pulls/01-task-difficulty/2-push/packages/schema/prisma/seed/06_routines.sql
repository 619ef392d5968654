INSERT INTO "Routine" ("id", "name") VALUES ('routine-morning', 'Morning')
ON CONFLICT ("id") DO NOTHING;

INSERT INTO "Activity" ("id", "order", "routine_id", "task_id") VALUES
  ('activity-1', 1, 'routine-morning', 'task-squat'),
  ('activity-2', 2, 'routine-morning', 'task-plank')
ON CONFLICT ("routine_id", "order") DO NOTHING;
