//! To other roles and other databases: privileges, ownership, the shared catalogue.

use super::attack::{Attack, denied, fails, harmless};

pub fn classes() -> Vec<Vec<Attack>> {
    vec![becoming_another(), gaining(), databases(), catalogue(), spying()]
}

fn becoming_another() -> Vec<Attack> {
    vec![
        denied("SET ROLE to the administrator", "set role {administrator};\n"),
        denied("SET ROLE to a neighbour", "set role {neighbour};\n"),
        denied("SET ROLE to who may read files", "set role pg_read_server_files;\n"),
        denied("SET SESSION AUTHORIZATION", "set session authorization {administrator};\n"),
        denied(
            "its own settings make it another",
            "alter role current_user set role = '{administrator}';\nset role {administrator};\n",
        ),
        harmless(
            "RESET ROLE and RESET SESSION AUTHORIZATION",
            "reset role;\nreset session authorization;\nset role none;\n\
             do $$ begin if (select rolsuper from pg_roles where rolname = current_user) then raise 'out'; end if; end $$;\n",
        ),
    ]
}

fn gaining() -> Vec<Attack> {
    vec![
        denied("SUPERUSER", "alter role current_user superuser;\n"),
        denied("CREATEDB", "alter role current_user createdb;\n"),
        denied("CREATEROLE", "alter role current_user createrole;\n"),
        denied("REPLICATION", "alter role current_user replication;\n"),
        denied("BYPASSRLS", "alter role current_user bypassrls;\n"),
        denied("more connections", "alter role current_user connection limit -1;\n"),
        denied("a login without end", "alter role current_user valid until 'infinity';\n"),
        fails(
            "rename itself",
            "do $$ begin execute format('alter role %I rename to evil', current_user); end $$;\n",
            &["42501", "0A000"],
        ),
        denied("a neighbour's password", "alter role {neighbour} password 'mine';\n"),
        denied("the administrator's password", "alter role {administrator} password 'mine';\n"),
        denied("a neighbour's settings", "alter role {neighbour} set statement_timeout = 1;\n"),
        denied("everybody's settings", "alter role all set search_path = evil;\n"),
        denied("pg_read_server_files", "grant pg_read_server_files to current_user;\n"),
        denied("pg_execute_server_program", "grant pg_execute_server_program to current_user;\n"),
        denied("pg_signal_backend", "grant pg_signal_backend to current_user;\n"),
        denied("pg_read_all_data", "grant pg_read_all_data to current_user;\n"),
        denied("the administrator's role", "grant {administrator} to current_user;\n"),
        denied("a neighbour's role", "grant {neighbour} to current_user;\n"),
        denied("a role", "create role evil login superuser;\n"),
        denied("drop a neighbour's role", "drop role {neighbour};\n"),
        denied("a neighbour's things", "reassign owned by {neighbour} to current_user;\n"),
        denied("drop a neighbour's things", "drop owned by {neighbour};\n"),
        denied(
            "default privileges of another",
            "alter default privileges for role {neighbour} grant all on tables to public;\n",
        ),
        denied(
            "say that a role is not Offshoot's",
            "do $$ begin execute format('comment on role %I is %L', current_user, 'mine'); end $$;\n",
        ),
    ]
}

fn databases() -> Vec<Attack> {
    let own = |sql: &str| format!("do $$ begin execute format('{sql}', current_database()); end $$;\n");
    vec![
        denied("rename its database", &own("alter database %I rename to evil")),
        denied("own its database", &own("alter database %I owner to current_user")),
        denied("settings of its database", &own("alter database %I set search_path = evil")),
        denied("its database's connection limit", &own("alter database %I connection limit 1000")),
        denied("make a template of its database", &own("alter database %I is_template true")),
        denied("close its database", &own("alter database %I allow_connections false")),
        denied("move a neighbour", "alter database {neighbour} set tablespace pg_default;\n"),
        denied("say that its database is not Offshoot's", &own("comment on database %I is ''mine''")),
        denied("collation of its database", &own("alter database %I refresh collation version")),
        denied("drop a neighbour", "drop database {neighbour};\n"),
        denied("drop the control database", "drop database postgres;\n"),
        denied("a database", "create database evil;\n"),
        denied("a copy of a neighbour", "create database evil template {neighbour};\n"),
        denied("rename a neighbour", "alter database {neighbour} rename to evil;\n"),
        denied(
            "settings of a neighbour",
            "alter database {neighbour} set default_transaction_read_only = on;\n",
        ),
        denied("connect privileges of a neighbour", "grant connect on database {neighbour} to public;\n"),
        // Without the right to pass it on, PostgreSQL only warns.
        harmless("open its database to everybody", &own("grant all on database %I to public")),
        fails("a query into another database", "select * from postgres.public.branches;\n", &["0A000"]),
        denied("all tables of all", "create publication evil for all tables;\n"),
        harmless("a publication of its own", "create publication evil for table items;\n"),
        denied(
            "a subscription",
            "create subscription evil connection 'dbname=postgres' publication p with (connect = false);\n",
        ),
        harmless(
            "settings of its own in a neighbour's database",
            "alter role current_user in database {neighbour} set search_path = evil;\n\
             alter role current_user in database postgres set local_preload_libraries = 'evil';\n",
        ),
    ]
}

fn catalogue() -> Vec<Attack> {
    vec![
        denied("write pg_authid", "update pg_catalog.pg_authid set rolsuper = true;\n"),
        denied("write pg_database", "update pg_catalog.pg_database set datacl = null;\n"),
        denied("delete from pg_class", "delete from pg_catalog.pg_class;\n"),
        denied("truncate a shared catalogue", "truncate pg_catalog.pg_shdescription;\n"),
        denied(
            "lock a shared catalogue",
            "do $$ begin lock table pg_catalog.pg_authid in access exclusive mode; end $$;\n",
        ),
        denied("lock the rows of pg_database", "select * from pg_catalog.pg_database for update;\n"),
        denied("a table in pg_catalog", "create table pg_catalog.evil (x int);\n"),
        denied(
            "a function in pg_catalog",
            "create function pg_catalog.evil() returns int language sql as 'select 1';\n",
        ),
        denied(
            "replace a function of pg_catalog",
            "create or replace function pg_catalog.pg_backend_pid() returns int language sql as 'select 1';\n",
        ),
        denied("alter a catalogue", "alter table pg_catalog.pg_class add column evil int;\n"),
        denied("large objects of all", "delete from pg_catalog.pg_largeobject;\n"),
        denied("rebuild the shared indexes", "reindex table pg_catalog.pg_authid;\n"),
    ]
}

fn spying() -> Vec<Attack> {
    vec![
        denied("passwords", "select rolpassword from pg_catalog.pg_authid;\n"),
        denied("passwords by pg_shadow", "select passwd from pg_catalog.pg_shadow;\n"),
        denied("user mappings", "select * from pg_catalog.pg_user_mapping;\n"),
        denied("subscriptions' passwords", "select subconninfo from pg_catalog.pg_subscription;\n"),
        denied(
            "another session's memory",
            "select pg_log_backend_memory_contexts(pid) from pg_stat_activity where usename <> current_user;\n",
        ),
        // Names of roles and databases are everybody's; what runs in other sessions is not.
        harmless(
            "what neighbours are running",
            "do $$ begin if exists (select from pg_stat_activity where usename <> current_user \
             and query not in ('', '<insufficient privilege>')) then raise 'seen'; end if; end $$;\n",
        ),
        denied(
            "end a neighbour's session",
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = '{neighbour}';\n",
        ),
        denied(
            "end the administrator's sessions",
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = '{administrator}';\n",
        ),
        denied(
            "cancel everybody",
            "select pg_cancel_backend(pid) from pg_stat_activity where usename <> current_user;\n",
        ),
    ]
}
