-- What schema 4 added: a frozen branch and forks in every state.

insert into snapshots (key, branch, generation, sha, database_name, owner_role, complete) values
    (repeat('7', 64), 2, 2, repeat('a', 40), 'offshoot_layer_77777777777777777777777777777777', 'offshoot_layer_77777777777777777777777777777777', true),
    (repeat('8', 64), 5, 1, repeat('a', 40), 'offshoot_layer_88888888888888888888888888888888', 'offshoot_layer_88888888888888888888888888888888', false);
insert into forks (id, branch, generation, sha, snapshot, state, database_name, password, waited_until, refusal, handed_out_at, expires_at, dropped_at)
    select ('00000000-0000-4000-8000-00000000000' || number)::uuid, 2, 2, repeat('a', 40),
        case when state not in ('wanted', 'dropped') then repeat('7', 64) end, state, 'offshoot_fork_v4_' || number,
        case when state <> 'dropped' then '\xad6624ccaed013e848d0994fcd4ba48894cdc0771986e47db0e0226cef9a2e56bb2b36ffdee765fb99de52fd10f188bc685de1f9ab865d166623a721d14c4450249408f00eeb7c30e47340'::bytea end,
        case when state in ('wanted', 'filling') then now() - interval '1 minute' end,
        case state when 'dropped' then 'There is no room.' end,
        case when state in ('live', 'trash') then now() - interval '1 hour' end,
        case state when 'live' then now() - interval '1 minute' end,
        case state when 'dropped' then now() - interval '1 hour' end
    from unnest(array['wanted', 'filling', 'spare', 'live', 'trash', 'dropped']) with ordinality as it (state, number);
insert into jobs (kind, subject, priority) values ('fill_forks', '2', 3);
