-- What schema 3 added: where layers come from, who needs them, and what came of checking them.

insert into layers (key, database_name, owner_role, chain, seeded, complete, size_bytes, build_ms, parent, recipe) values
    (repeat('3', 64), 'offshoot_layer_33333333333333333333333333333333', 'offshoot_layer_33333333333333333333333333333333', '[]', '[]', true, 7730879, 20.5,
        repeat('1', 64), '{"seeds": [], "extensions": ["pgcrypto"], "migrations": [{"oid": "cccccccccccccccccccccccccccccccccccccccc", "path": "prisma/migrations/20250101000000_old/migration.sql"}]}');
insert into layer_uses values (repeat('3', 64), 1000003, 'main', '2026-01-02 03:04:05+00');
update branches set base_layer = repeat('3', 64) where id = 2;
insert into layer_checks (key, outcome, findings, took_ms) values
    (repeat('1', 64), 'same', '[]', 230.5),
    (repeat('4', 64), 'differs', '["table items: a column more"]', 230.5),
    (repeat('5', 64), 'broken', '["prisma/migrations/20250101000000_old/migration.sql: syntax error"]', 12),
    (repeat('6', 64), 'unstable', '["function now_text"]', 230.5);
insert into jobs (kind, subject, priority, created_at) values ('check_layer', '', 30, now() - interval '1 day'), ('trim_layers', '', 20, now());
