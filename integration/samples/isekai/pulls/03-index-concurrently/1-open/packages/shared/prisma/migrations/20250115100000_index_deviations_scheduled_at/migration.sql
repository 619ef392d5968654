-- Large table: without blocking writers. Must stay alone in its file.
CREATE INDEX CONCURRENTLY "deviations_scheduled_at_idx" ON "deviations"("scheduled_at");
