-- Who is logged in to the dashboard: a token, under the hash of what the browser's cookie holds. Ended by logging out, and by time.
create table sessions (
    hash bytea primary key,
    -- Encrypted, like every credential here; it is looked up at each request, so a revoked one opens nothing.
    token bytea not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index sessions_by_expiry on sessions (expires_at);

-- When the head became what it is, by GitHub's clock: a maintainer's word from before then speaks of another commit.
alter table pull_requests add column head_since timestamptz;
