-- What schema 2 added: spares, made and being made, and the templates that they are clones of.

insert into instances (id, state, database_name, role_name, layer, password, reader_password) values
    ('v2-spare', 'spare', 'offshoot_instance_v2_1', 'offshoot_instance_v2_1', repeat('1', 64),
        '\xad6624ccaed013e848d0994fcd4ba48894cdc0771986e47db0e0226cef9a2e56bb2b36ffdee765fb99de52fd10f188bc685de1f9ab865d166623a721d14c4450249408f00eeb7c30e47340',
        '\x91b4a3217dd91f40578537ea035463c903ffd2afdf73176388c1b1431674e423931511e5479157eb96945604d4500063749c38a99f97bd2198151eb11aa0c29032ad7292ed4d8fa25d432c'),
    ('v2-filling', 'filling', 'offshoot_instance_v2_2', 'offshoot_instance_v2_2', repeat('1', 64), null, null),
    -- The layer of this one was forgotten.
    ('v2-lost', 'spare', 'offshoot_instance_v2_3', 'offshoot_instance_v2_3', null, null, null);
insert into templates (repository, database, base_ref, layer) values
    (1000003, 'main', 'main', repeat('1', 64));
insert into spare_demand (layer, at) values (repeat('1', 64), now()), (repeat('1', 64), now() - interval '1 minute');
insert into jobs (kind, subject, priority) values ('refill_pool', repeat('1', 64), 16);
