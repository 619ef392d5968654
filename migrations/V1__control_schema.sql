-- The control database: what GitHub told, what is to be done, what stands on the branch server.

-- A repository keeps GitHub's number through renames and transfers; its name is only how people call it today.
create table repositories (
    github_id bigint primary key,
    owner text not null,
    name text not null,
    installation_id bigint,
    -- Empty until GitHub was asked: an installation's own deliveries leave it out.
    default_branch text not null,
    -- The App was uninstalled from it, or it was deleted.
    removed_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index repositories_by_name on repositories (lower(owner), lower(name));

-- A received webhook, kept as it came. Stored before it is answered.
create table deliveries (
    id text primary key,
    event text not null,
    action text,
    -- The subject of the job that takes it up: GITHUB_ID#NUMBER for a pull request.
    subject text,
    -- OWNER/NAME as the delivery has it, for people.
    repository text,
    -- The order of arrival, which need not be the order of events.
    sequence bigint not null generated always as identity,
    payload bytea not null,
    received_at timestamptz not null default now(),
    absorbed_at timestamptz,
    -- What became of it, for people.
    outcome text
);
create index deliveries_unabsorbed on deliveries (subject, sequence) where absorbed_at is null;
create index deliveries_by_sequence on deliveries (sequence);

-- A durable unit of work. (kind, subject) says what to converge; the job decides from stored state, so one waiting row is enough.
create table jobs (
    id bigint generated always as identity primary key,
    kind text not null,
    subject text not null,
    state text not null default 'available' check (state in ('available', 'running', 'done', 'failed')),
    -- Lower first.
    priority smallint not null default 10,
    -- Counts the claims. With the worker it guards every write of whoever holds the job.
    attempt integer not null default 0,
    -- Counts the claims that ended badly, for the backoff; to be asked to wait is not one.
    failures integer not null default 0,
    run_at timestamptz not null default now(),
    worker uuid,
    lease_until timestamptz,
    last_error text,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    check ((state = 'running') = (worker is not null and lease_until is not null))
);
create unique index jobs_one_available on jobs (kind, subject) where state = 'available';
create unique index jobs_one_running on jobs (kind, subject) where state = 'running';
create index jobs_claimable on jobs (priority, run_at, id) where state = 'available';
create index jobs_leases on jobs (lease_until) where state = 'running';
create index jobs_finished on jobs (finished_at) where state in ('done', 'failed');

create table pull_requests (
    repository bigint not null references repositories (github_id),
    number integer not null,
    open boolean not null,
    merged boolean not null,
    draft boolean not null,
    title text not null,
    author text not null,
    head_sha text not null,
    head_ref text not null,
    head_repository text,
    from_fork boolean not null,
    base_ref text not null,
    base_sha text not null,
    github_updated_at timestamptz not null,
    -- The head commit of a fork that a maintainer approved, and who did.
    approved_sha text,
    approved_by text,
    -- Said of the pull request as a whole, when there is no branch to say it of: a wrong configuration, no chain.
    notice jsonb,
    -- The head for which somebody removed the branches: none are made for it until they are asked for.
    unwanted_sha text,
    primary key (repository, number)
);
create index pull_requests_open on pull_requests (repository, base_ref) where open;

-- A frozen database on the branch server, addressed by the hash of what is in it.
create table layers (
    key text primary key,
    database_name text not null unique,
    -- The role that owns what is in it; it cannot log in.
    owner_role text not null,
    chain jsonb not null,
    seeded jsonb not null,
    complete boolean not null default false,
    size_bytes bigint,
    build_ms double precision,
    created_at timestamptz not null default now()
);
-- Whose branches start from it: two repositories with the same content share one layer.
create table layer_uses (
    key text not null references layers (key) on delete cascade,
    repository bigint not null references repositories (github_id),
    database text not null,
    last_used_at timestamptz not null default now(),
    primary key (repository, database, key)
);
create index layer_uses_by_key on layer_uses (key);

create table branches (
    id bigint generated always as identity primary key,
    repository bigint not null,
    pull_request integer not null,
    database text not null,
    state text not null default 'pending'
        check (state in ('pending', 'preparing', 'ready', 'failed', 'errored', 'blocked', 'deleting', 'deleted')),
    generation integer not null default 0,
    head_sha text not null,
    -- The commit whose chain the reachable database holds.
    database_sha text,
    base_ref text not null,
    database_name text not null,
    -- Encrypted; the same in every generation, and gone with the last.
    password bytea,
    reader_password bytea,
    applied jsonb not null default '[]',
    failure jsonb,
    findings jsonb not null default '[]',
    seeded jsonb not null default '[]',
    timings jsonb not null default '{}',
    reason text,
    protected boolean not null default false,
    reset_requested boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    ready_at timestamptz,
    expires_at timestamptz,
    deleted_at timestamptz,
    check ((state = 'deleted') = (password is null and reader_password is null)),
    foreign key (repository, pull_request) references pull_requests (repository, number)
);
create unique index branches_one_live on branches (repository, pull_request, database) where state <> 'deleted';
create index branches_by_pull on branches (repository, pull_request);
create unique index branches_name_taken on branches (database_name) where state <> 'deleted';

-- A database on the branch server with the login role that owns what is in it: a branch's generation on its way, at its place, or in the trash.
create table instances (
    id text primary key,
    branch bigint references branches (id),
    state text not null check (state in ('preparing', 'live', 'trash')),
    -- Its names on the server now; they change when it is published and when it is thrown away.
    database_name text not null unique,
    role_name text not null unique,
    created_at timestamptz not null default now()
);
create unique index instances_one_live on instances (branch) where state = 'live';
create index instances_by_branch on instances (branch);

-- Git's objects never change, so what was read once is never asked for again.
create table git_blobs (
    oid text primary key,
    bytes bytea not null,
    fetched_at timestamptz not null default now()
);
create table git_trees (
    repository bigint not null,
    commit text not null,
    tree jsonb not null,
    fetched_at timestamptz not null default now(),
    primary key (repository, commit)
);

-- What the pull request was last told, to bring GitHub to what it should be told and to nothing twice.
create table comments (
    repository bigint not null,
    pull_request integer not null,
    github_id bigint not null,
    digest text not null,
    updated_at timestamptz not null default now(),
    primary key (repository, pull_request)
);
create table checks (
    repository bigint not null,
    pull_request integer not null,
    sha text not null,
    -- GitHub's number of the check run; none where the verdict is a commit status.
    github_id bigint,
    ended boolean not null,
    digest text not null,
    updated_at timestamptz not null default now(),
    primary key (repository, pull_request, sha)
);
create index checks_unended on checks (repository, pull_request) where not ended;

-- Bearer tokens of the API, by the SHA-256 of each.
create table tokens (
    id bigint generated always as identity primary key,
    name text not null,
    hash bytea not null unique,
    -- OWNER/NAME of the one repository that it opens; none where it opens all.
    repository text,
    read_only boolean not null,
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    revoked_at timestamptz
);

-- Listeners are only woken; what they do, they decide from the tables.
create function notify_branch() returns trigger language plpgsql as $$
begin
    perform pg_notify('offshoot_branches', new.repository || '#' || new.pull_request);
    return null;
end $$;
create trigger branches_notify after insert or update on branches for each row execute function notify_branch();
