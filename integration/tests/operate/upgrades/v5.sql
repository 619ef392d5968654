-- What schema 5 added: who did what, and a delivery's trace. Since then what is sealed says under which key.

insert into audit (actor, via, action, subject, request_id, details) values
    ('administrator', 'api', 'branch.reset', 'acme/shop#1/main', 'r-1', '{}'),
    ('token 1 (ci)', 'api', 'branch.create', 'acme/shop#2/main', 'r-2', '{"sha": "aaaa"}'),
    ('github:ada', 'github', 'fork.approve', 'acme/gone#1', 'v1-told', '{}'),
    ('operator', 'command', 'key.rotate', '5f76e2b0b4a7a7f9', null, '{"replaced": 6}'),
    ('service', 'service', 'branch.expire', 'acme/shop#1/main', null, '{}');
insert into deliveries (id, event, action, subject, repository, payload, absorbed_at, outcome, trace) values
    ('v5-traced', 'push', null, null, 'acme/shop', '{"ref":"refs/heads/main"}', now(), 'taken up', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
update branches set
    password = '\x015f76e2b0b4a7a7f908dd53d1c4401549ff6a866369ef62673351ee37a20f697eb3da04a06f3b70fdbabebada5cf6b2c582b3c0d08ad2eb51a3dba4f98ce178e1384a9db5208101de579bf97e28c66ca2cffa0e'
    where pull_request = 2;
