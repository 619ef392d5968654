-- A control database of schema 1, in use: every table has rows, every state has one. GitHub's numbers are the simulated GitHub's;
-- heads are commits that it has left behind, as if webhooks had been missed. Credentials are under the tests' key, sealed as they were before keys
-- had names.

insert into repositories (github_id, owner, name, installation_id, default_branch, removed_at) values
    (1000003, 'acme', 'shop', 1000005, 'main', null),
    (900, 'acme', 'gone', null, '', '2026-01-02 03:04:05+00');

insert into deliveries (id, event, action, subject, repository, payload, received_at, absorbed_at, outcome) values
    ('v1-told', 'pull_request', 'opened', '1000003#1', 'acme/shop', '{"action":"opened"}', now() - interval '1 day', now() - interval '1 day', 'taken up'),
    ('v1-nothing', 'ping', null, null, null, '{"zen":"…"}', now() - interval '1 day', now() - interval '1 day', 'ignored'),
    ('v1-waits', 'pull_request', 'synchronize', '1000003#2', 'acme/shop', '{"action":"synchronize"}', now() - interval '1 hour', null, null);

insert into pull_requests (repository, number, open, merged, draft, title, author, head_sha, head_ref, head_repository, from_fork, base_ref, base_sha,
        github_updated_at, approved_sha, approved_by, notice, unwanted_sha)
    select 1000003, number, number <= 6, number = 7, number = 2, 'Change ' || number, 'ada', repeat('a', 40), 'change-' || number, 'acme/shop', false, 'main',
        repeat('b', 40), '2026-01-02 03:04:05+00', null, null, null, null
    from generate_series(1, 7) as number;
insert into pull_requests values
    (900, 1, true, false, false, 'From a fork', 'eve', repeat('a', 40), 'tags', 'eve/gone', true, 'main', repeat('b', 40), '2026-01-02 03:04:05+00',
        repeat('a', 40), 'ada', '{"kind": "errored", "message": "GitHub does not answer"}', null),
    (900, 2, false, true, false, 'No chain', 'ada', repeat('a', 40), 'docs', null, false, 'main', repeat('b', 40), '2026-01-02 03:04:05+00',
        null, null, '{"kind": "no_chain"}', repeat('a', 40));

insert into layers (key, database_name, owner_role, chain, seeded, complete, size_bytes, build_ms, created_at) values
    (repeat('1', 64), 'offshoot_layer_11111111111111111111111111111111', 'offshoot_layer_11111111111111111111111111111111',
        '[{"name": "20250101000000_old", "checksum": "01012064178051ee1aa673da9a025bcf7e256d490a0db1314ed57dbf4613e5e1"}]',
        '[{"path": "prisma/seed/10_users.sql", "checksum": "01012064178051ee1aa673da9a025bcf7e256d490a0db1314ed57dbf4613e5e1"}]',
        true, 7730879, 167.9, '2026-01-02 03:04:05+00'),
    (repeat('2', 64), 'offshoot_layer_22222222222222222222222222222222', 'offshoot_layer_22222222222222222222222222222222', '[]', '[]',
        false, null, null, '2026-01-02 03:04:05+00');
insert into layer_uses values
    (repeat('1', 64), 1000003, 'main', '2026-01-02 03:04:05+00'),
    (repeat('2', 64), 900, 'reports', '2026-01-02 03:04:05+00');

-- The first is what #1 had before it was closed and opened again.
insert into branches (repository, pull_request, database, state, generation, head_sha, database_sha, base_ref, database_name, password, reader_password,
        applied, failure, findings, seeded, timings, reason, protected, reset_requested, ready_at, expires_at, deleted_at)
    select 1000003, case state when 'deleted' then 1 else number end, 'main', state, case when number in (1, 4, 7, 8) then 2 else 0 end, repeat('a', 40),
        case when number in (1, 4) then repeat('a', 40) end, 'main', 'acme_shop_pr_' || case state when 'deleted' then 1 else number end,
        case when state <> 'deleted' then '\xad6624ccaed013e848d0994fcd4ba48894cdc0771986e47db0e0226cef9a2e56bb2b36ffdee765fb99de52fd10f188bc685de1f9ab865d166623a721d14c4450249408f00eeb7c30e47340'::bytea end,
        case when state <> 'deleted' then '\x91b4a3217dd91f40578537ea035463c903ffd2afdf73176388c1b1431674e423931511e5479157eb96945604d4500063749c38a99f97bd2198151eb11aa0c29032ad7292ed4d8fa25d432c'::bytea end,
        '[{"name": "20260101000000_init", "checksum": "01012064178051ee1aa673da9a025bcf7e256d490a0db1314ed57dbf4613e5e1", "duration_ms": 4.1}]',
        case state when 'failed' then
            '{"kind": "migration", "migration": "20260201000000_c4", "file": "prisma/migrations/20260201000000_c4/migration.sql", "line": 1, "column": 13,
              "statement": "alter table itens add column c4 text", "sqlstate": "42P01", "message": "relation \"itens\" does not exist", "detail": null,
              "hint": null, "context": null}'::jsonb end,
        '[{"kind": "behind_base", "commits": 2, "migrations": 1}, {"kind": "rebuilt", "reasons": ["20260201000000_c1 was edited"]}]',
        '[]', '{"read": 1.5, "seed": 0, "total": 32.5, "queued": 0.9, "acquire": 25, "migrate": 4.1}',
        case when state in ('errored', 'blocked') then 'It waits.' end, number = 1, number = 5,
        case when number in (1, 4) then '2026-01-02 03:04:05+00'::timestamptz end,
        case when number = 2 then now() + interval '7 days' end,
        case state when 'deleted' then '2026-01-02 03:04:05+00'::timestamptz end
    from unnest(array['ready', 'pending', 'preparing', 'failed', 'errored', 'blocked', 'deleting', 'deleted']) with ordinality as it (state, number)
    order by state <> 'deleted', number;

insert into instances (id, branch, state, database_name, role_name) values
    ('v1-live', 2, 'live', 'acme_shop_pr_1', 'acme_shop_pr_1'),
    ('v1-kept', 5, 'live', 'acme_shop_pr_4', 'acme_shop_pr_4'),
    ('v1-preparing', 4, 'preparing', 'offshoot_instance_v1_3', 'offshoot_instance_v1_3'),
    ('v1-trash', 8, 'trash', 'offshoot_trash_v1_7', 'offshoot_trash_v1_7');

insert into jobs (kind, subject, priority, state, attempt, failures, worker, lease_until, last_error, started_at, finished_at) values
    ('reconcile_pull', '1000003#2', 0, 'available', 0, 0, null, null, null, null, null),
    ('reconcile_pull', '1000003#3', 0, 'running', 1, 0, '00000000-0000-4000-8000-000000000001', now() - interval '1 hour', null, now() - interval '1 hour', null),
    ('reconcile_pull', '1000003#5', 0, 'available', 3, 3, null, null, 'connecting to the branch server', now() - interval '1 hour', null),
    ('reconcile_pull', '1000003#7', 0, 'available', 0, 0, null, null, null, null, null),
    ('report_pull', '1000003#4', 5, 'available', 0, 0, null, null, null, null, null),
    ('sync_installation', '1000005', 10, 'done', 1, 0, null, null, null, now() - interval '1 hour', now() - interval '1 hour'),
    ('follow_base', '1000003@' || repeat('b', 40), 15, 'failed', 9, 9, null, null, 'no such commit', now() - interval '1 hour', now() - interval '1 hour');

insert into git_blobs (oid, bytes) values (repeat('c', 40), 'create table items (id int);');
insert into git_trees (repository, commit, tree) values
    (1000003, repeat('a', 40), '[{"oid": "cccccccccccccccccccccccccccccccccccccccc", "kind": "file", "path": "prisma/migrations/20250101000000_old/migration.sql", "size": 28}]');
insert into comments (repository, pull_request, github_id, digest) values (900, 1, 17, repeat('d', 64));
insert into checks (repository, pull_request, sha, github_id, ended, digest) values
    (900, 1, repeat('a', 40), 18, true, repeat('e', 64)),
    (900, 1, repeat('b', 40), null, true, repeat('f', 64));

-- a-token-of-an-earlier-version, and one that was revoked.
insert into tokens (name, hash, repository, read_only, last_used_at, revoked_at) values
    ('ci', '\x2f078adc8ce9c6a6495079dea48c0e9c2a6eaacd17aa8f6ee4a85509a5732f98', 'acme/shop', true, now(), null),
    ('left', sha256('revoked'), null, false, null, '2026-01-02 03:04:05+00');
