-- Clones that wait: an instance made from a layer before a branch asks for it, with its roles and passwords settled.

alter table instances drop constraint instances_state_check;
alter table instances add constraint instances_state_check
    check (state in ('filling', 'spare', 'preparing', 'live', 'trash'));
-- The layer that a spare was made from. One whose layer was forgotten is only good for the trash.
alter table instances add column layer text references layers (key) on delete set null;
-- Encrypted; a spare's own, until a branch takes both over with it.
alter table instances add column password bytea;
alter table instances add column reader_password bytea;
create index instances_spares on instances (layer, created_at) where state in ('filling', 'spare');

-- The layer of a base's tip, which new pull requests start from.
create table templates (
    repository bigint not null references repositories (github_id),
    database text not null,
    base_ref text not null,
    layer text not null references layers (key) on delete cascade,
    updated_at timestamptz not null default now(),
    primary key (repository, database, base_ref)
);
create index templates_by_layer on templates (layer);

-- When a spare was asked for, whether there was one or not: what the pool is sized by.
create table spare_demand (
    layer text not null references layers (key) on delete cascade,
    at timestamptz not null default now()
);
create index spare_demand_by_layer on spare_demand (layer, at);
