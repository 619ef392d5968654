INSERT INTO "Task" ("id", "name", "tags", "difficulty") VALUES
  ('task-squat', 'Squat', ARRAY['legs'], 'EASY'),
  ('task-plank', 'Plank', ARRAY['core', 'static'], 'HARD')
ON CONFLICT ("id") DO UPDATE SET "tags" = EXCLUDED."tags", "difficulty" = EXCLUDED."difficulty";

INSERT INTO "Exercise" ("id", "name", "duration", "count", "task_id") VALUES
  ('exercise-squat', 'Squat', 60, 15, 'task-squat'),
  ('exercise-plank', 'Plank', 90, 1, 'task-plank')
ON CONFLICT ("task_id") DO UPDATE SET "duration" = EXCLUDED."duration";
