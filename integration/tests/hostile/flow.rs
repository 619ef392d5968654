//! At the service itself: its session, its bookkeeping, its locks and channels, and what it runs later.

use super::attack::{Attack, Told, brings, fails, harmless, named};
use crate::shop::migration;

/// The bookkeeping does not say what was wanted.
const UNBELIEVED: &[&str] = &["_prisma_migrations", "bookkeeping"];
const ENDED: &[&str] = &["57014", "57P01"];

pub fn classes() -> Vec<Vec<Attack>> {
    vec![transactions(), bookkeeping(), shadows(), locks_and_channels(), blame()]
}

fn transactions() -> Vec<Attack> {
    vec![
        harmless("COMMIT in the middle", "create table a (x int);\ncommit;\ncreate table b (x int);\n"),
        harmless("ROLLBACK in the middle", "create table a (x int);\nrollback;\ncreate table b (x int);\n"),
        fails("BEGIN and no COMMIT", "begin;\ncreate table a (x int);\n", UNBELIEVED),
        harmless(
            "savepoints",
            "begin;\nsavepoint s;\ncreate table a (x int);\nrollback to s;\nrelease s;\ncommit;\n",
        ),
        fails(
            "a prepared transaction",
            "begin;\ncreate table a (x int);\nprepare transaction 'evil';\n",
            &["55000"],
        ),
        fails("a session that only reads", "set default_transaction_read_only = on;\n", &["25006"]),
        harmless("DISCARD ALL", "discard all;\n"),
        fails("an empty search_path", "set search_path = '';\n", &["42P01"]),
        fails("end its own session", "select pg_terminate_backend(pg_backend_pid());\n", &["57P01"]),
        fails(
            "an error in another encoding",
            "set client_encoding = 'LATIN1';\ndo $$ begin raise exception 'caf\u{e9}'; end $$;\n",
            &["P0001", "encoding", "UTF-8"],
        ),
        harmless("rows in another encoding", "set client_encoding = 'LATIN1';\nselect 'caf\u{e9}';\n"),
        fails("COPY to the client", "copy items to stdout;\n", &["client"]),
        harmless(
            "things left behind",
            "create temp table t as select 1 as x;\nselect lo_from_bytea(0, 'x');\ndeclare c cursor with hold for select 1;\nprepare p as select 1;\nlisten evil;\n",
        ),
    ]
}

fn bookkeeping() -> Vec<Attack> {
    let table = "public._prisma_migrations";
    let on_write = |body: &str| {
        format!(
            "create function evil() returns trigger language plpgsql as $$ begin {body} end $$;\n\
             create trigger evil before insert or update on {table} for each row execute function evil();\n"
        )
    };
    let forged = "insert into _prisma_migrations (id, checksum, finished_at, migration_name, applied_steps_count) \
                  values (gen_random_uuid()::text, repeat('0', 64), now(), '20260302000000_forged', 1);\n";
    vec![
        fails("a forged row", forged, UNBELIEVED),
        fails("a forged checksum", &format!("update {table} set checksum = repeat('0', 64);\n"), UNBELIEVED),
        fails("rows taken back", &format!("update {table} set rolled_back_at = now();\n"), UNBELIEVED),
        fails("no rows", &format!("delete from {table};\n"), UNBELIEVED),
        fails("no table", &format!("drop table {table};\n"), &["42P01", "bookkeeping"]),
        fails(
            "a view for the table",
            &format!("alter table {table} rename to hidden;\ncreate view {table} as select * from hidden;\n"),
            UNBELIEVED,
        ),
        fails(
            "a partitioned table for the table",
            &format!(
                "alter table {table} rename to hidden;\ncreate table {table} (like hidden including defaults) partition by hash (id);\n\
                 create table part partition of {table} for values with (modulus 1, remainder 0);\ninsert into {table} select * from hidden;\n"
            ),
            UNBELIEVED,
        ),
        fails(
            "a temporary table before the table",
            &format!("create temp table _prisma_migrations (like {table} including all);\n"),
            UNBELIEVED,
        ),
        fails(
            "a trigger that undoes the finish",
            &on_write("new.finished_at := null; return new;"),
            UNBELIEVED,
        ),
        fails("a trigger that refuses", &on_write("raise exception 'no'; return new;"), &["P0001"]),
        fails(
            "a trigger that loops",
            &on_write(
                "perform set_config('statement_timeout', '0', false); loop null; end loop; return new;",
            ),
            ENDED,
        ),
        fails(
            "a rule for the table",
            &format!("create rule evil as on update to {table} do instead nothing;\n"),
            UNBELIEVED,
        ),
        fails(
            "a default that fails",
            &format!(
                "alter table {table} alter column started_at set default (1/0 || '')::timestamptz;\nupdate {table} set id = id;\nselect 1/0;\n"
            ),
            &["22012"],
        ),
        fails(
            "row security on the table",
            &format!("alter table {table} enable row level security, force row level security;\n"),
            &["42501", "bookkeeping", "_prisma_migrations"],
        ),
        harmless(
            "a child of the table with rows of its own",
            &format!(
                "create table child () inherits ({table});\ninsert into child select * from only {table};\n"
            ),
        ),
        fails(
            "a column whose reading never ends",
            &format!(
                "create type slow as (t text);\n\
                 create function to_slow(text) returns slow language sql as 'select row($1)::slow';\n\
                 create function from_slow(slow) returns text language plpgsql as $$ begin\n\
                   loop begin perform pg_sleep(600); exception when query_canceled then null; end; end loop; end $$;\n\
                 create cast (slow as text) with function from_slow(slow);\n\
                 commit;\n\
                 alter table {table} add column other slow;\n\
                 update {table} set other = row(migration_name)::slow;\n\
                 alter table {table} rename column migration_name to old_name;\n\
                 alter table {table} rename column other to migration_name;\n\
                 alter table {table} alter column old_name drop not null;\n\
                 create function fill() returns trigger language plpgsql as $$ begin return new; end $$;\n"
            ),
            UNBELIEVED,
        ),
        brings(
            "a migration that says that the next was run",
            vec![
                migration(
                    "20260301000000_attack",
                    "insert into _prisma_migrations (id, checksum, finished_at, migration_name, applied_steps_count)\n\
                     values (gen_random_uuid()::text, encode(sha256(convert_to(E'select 1;\\n', 'UTF8')), 'hex'), now(), '20260302000000_next', 1);\n",
                ),
                named("20260302000000_next", "select 1;\n"),
            ],
            Told::Failed(UNBELIEVED),
        ),
    ]
}

/// Names that unqualified calls of a later session would find first.
fn shadows() -> Vec<Attack> {
    vec![
        harmless(
            "functions that shadow the catalogue's",
            "create schema evil;\n\
             create function evil.pg_backend_pid() returns int language plpgsql as $$ begin raise 'shadowed'; end $$;\n\
             create function evil.pg_advisory_lock(bigint) returns void language plpgsql as $$ begin raise 'shadowed'; end $$;\n\
             create function evil.now() returns timestamptz language plpgsql as $$ begin raise 'shadowed'; end $$;\n\
             create function evil.format(text, text, text) returns text language plpgsql as $$ begin return 'alter role ' || current_user || ' superuser'; end $$;\n\
             create function evil.quote_ident(text) returns text language plpgsql as $$ begin return 'x; drop table y'; end $$;\n\
             alter role current_user set search_path = evil, pg_catalog;\n",
        ),
        harmless(
            "operators that shadow the catalogue's",
            "create function public.evil_eq(name, text) returns boolean language plpgsql as $$ begin raise 'shadowed'; end $$;\n\
             create function public.evil_eq(text, text) returns boolean language plpgsql as $$ begin raise 'shadowed'; end $$;\n\
             create operator public.= (leftarg = name, rightarg = text, function = public.evil_eq);\n\
             create operator public.= (leftarg = text, rightarg = text, function = public.evil_eq);\n",
        ),
        harmless(
            "tables that shadow the catalogue's",
            "create table public.pg_roles (rolname name, rolsuper boolean);\n\
             create view public.pg_class as select 1 as oid, 'r'::\"char\" as relkind;\n\
             create temp table pg_database (datname name);\n",
        ),
        harmless(
            "a cast between the server's types and its own",
            "create domain evil as text check (value <> 'x');\ncreate type mood as enum ('sad');\n\
             create function mood_text(mood) returns text language plpgsql as $$ begin raise 'cast'; end $$;\n\
             create cast (mood as text) with function mood_text(mood) as implicit;\n",
        ),
    ]
}

/// The server's troubles are not the author's, and are tried again: an author who feigns one would never be told, and have it run for ever.
fn blame() -> Vec<Attack> {
    let feigned = |sqlstate: &str| {
        format!("do $$ begin raise exception 'could not extend file' using errcode = '{sqlstate}'; end $$;\n")
    };
    vec![
        fails("say that the disk is full", &feigned("53100"), &["53100"]),
        fails("say that the memory is used up", &feigned("53200"), &["53200"]),
        fails("say that there are too many connections", &feigned("53300"), &["53300"]),
        fails("say that the disk cannot be read", &feigned("58030"), &["58030"]),
        fails("say that the server stops", &feigned("57P01"), &["57P01"]),
        fails("say that the connection broke", &feigned("08006"), &["08006"]),
        fails(
            "have the bookkeeping say that the disk is full",
            &format!(
                "create function f() returns boolean language plpgsql as $f$ {} return true; end $f$;\n\
                 create policy p on public._prisma_migrations using (f());\n\
                 alter table public._prisma_migrations enable row level security, force row level security;\n",
                "begin raise exception 'full' using errcode = '53100';"
            ),
            &["53100"],
        ),
    ]
}

fn locks_and_channels() -> Vec<Attack> {
    vec![
        harmless(
            "the service's own locks",
            "select pg_advisory_lock(hashtextextended(current_database(), 1));\n\
             select pg_advisory_lock(hashtextextended(replace(datname, 'offshoot_layer_', ''), 0)) from pg_database;\n\
             select pg_advisory_lock(hashtextextended(datname, 1)) from pg_database;\n",
        ),
        harmless("give Prisma's lock back", "select pg_advisory_unlock_all();\n"),
        harmless(
            "take Prisma's lock again and again",
            "select pg_advisory_lock(72707369) from generate_series(1, 100);\n",
        ),
        harmless(
            "noise on the service's channels",
            "do $$ begin for i in 1..5000 loop perform pg_notify('offshoot_jobs', i::text); perform pg_notify('offshoot_branches', 'acme/shop#' || i); end loop; end $$;\n\
             select pg_notify('offshoot_jobs', repeat('x', 7999));\n",
        ),
        harmless("a listener who never listens", "listen a;\nlisten offshoot_jobs;\nnotify a, 'x';\n"),
    ]
}
