-- Throw-away clones of branches, for test runs.

-- A branch's ready state, frozen: what its forks are cloned from. Its role owns what is in all of them, so it goes after the last.
create table snapshots (
    key text primary key,
    branch bigint not null references branches (id),
    -- The state of the branch that it was last found to be.
    generation integer not null,
    sha text not null,
    database_name text not null unique,
    owner_role text not null,
    complete boolean not null default false,
    created_at timestamptz not null default now(),
    -- When forks of it were last asked for.
    used_at timestamptz not null default now()
);
create index snapshots_by_branch on snapshots (branch);

-- A fork is wanted, being filled, spare, live (handed out), trash (to be dropped) or dropped. The last are kept for a while: the pool is
-- sized by them.
create table forks (
    id uuid primary key,
    branch bigint not null references branches (id),
    -- The state of the branch that it is of.
    generation integer not null,
    sha text not null,
    snapshot text references snapshots (key),
    state text not null check (state in ('wanted', 'filling', 'spare', 'live', 'trash', 'dropped')),
    -- Of the database and of its login role.
    database_name text not null unique,
    -- Encrypted.
    password bytea,
    -- Until then somebody waits for this one, and nobody else gets it.
    waited_until timestamptz,
    -- Why one that was wanted was not made, for people; none where the branch moved on.
    refusal text,
    created_at timestamptz not null default now(),
    handed_out_at timestamptz,
    expires_at timestamptz,
    dropped_at timestamptz,
    check (state in ('wanted', 'dropped') or snapshot is not null),
    check ((state = 'dropped') = (password is null))
);
create index forks_by_branch on forks (branch, state, created_at);
create index forks_by_snapshot on forks (snapshot) where snapshot is not null;
create index forks_ending on forks (expires_at) where state = 'live';

create function notify_fork() returns trigger language plpgsql as $$
begin
    perform pg_notify('offshoot_forks', new.id::text);
    return null;
end $$;
-- Whoever waits for a fork hears that it was made, or that it will not be.
create trigger forks_notify after update of state on forks for each row
    when (old.waited_until is not null and new.state in ('spare', 'dropped')) execute function notify_fork();
