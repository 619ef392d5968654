-- Layers: what each was made from, who needs it, and what came of checking it against a replay from empty.

alter table layers
    -- The key of the layer that it was continued from, which may be gone by now; none for one that was built from empty.
    add column parent text,
    -- What it takes to build it anew: extensions, and each file's path and git object. None for one from before this was kept.
    add column recipe jsonb;

-- The layer of the branch's merge base: needed for as long as the pull request is open.
alter table branches add column base_layer text;
create index branches_by_base_layer on branches (base_layer) where state <> 'deleted';

-- Comparisons of a layer with a replay from empty. They outlive the layer: one that was dropped for what was found is not continued again.
create table layer_checks (
    id bigint generated always as identity primary key,
    key text not null,
    outcome text not null check (outcome in ('same', 'differs', 'broken', 'unstable')),
    -- What differs, for people; empty where nothing does.
    findings jsonb not null,
    took_ms double precision not null,
    checked_at timestamptz not null default now()
);
create index layer_checks_by_key on layer_checks (key, id desc);
