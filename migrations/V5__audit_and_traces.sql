-- Who did what. Written in the transaction of what was done, read by administrators, forgotten by age.
create table audit (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    -- administrator, token 3 (ci), github:ada, operator, service
    actor text not null,
    -- The door it came in by: api, dashboard, github, command, service.
    via text not null,
    -- branch.reset, token.create, …
    action text not null,
    -- What it was done to: acme/shop#42/main, token 3, …
    subject text not null,
    -- X-Request-Id of the request, or GitHub's id of the delivery.
    request_id text,
    -- What else is worth knowing; never a secret.
    details jsonb not null default '{}'
);
create index audit_by_time on audit (at);
create index audit_by_subject on audit (subject, id);

-- The trace of the request that brought a delivery (W3C traceparent), for the job that takes it up. None where traces are off.
alter table deliveries add column trace text;
