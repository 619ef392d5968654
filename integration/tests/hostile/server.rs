//! Out of the database: the server's files, programs, settings, languages and extensions.

use super::attack::{Attack, denied, fails, harmless};

/// Where an attack that gets out would leave a trace.
pub const CANARY: &str = "/tmp/offshoot-hostile-canary";

/// Not there to be created, or not to be created by a plain role: no server has all of them.
const UNAVAILABLE: &[&str] = &["42501", "0A000", "58P01", "42704", "22023"];

pub fn classes() -> Vec<Vec<Attack>> {
    vec![files(), settings(), code()]
}

fn files() -> Vec<Attack> {
    vec![
        denied("read a file by COPY", "create table t (x text);\ncopy t from '/etc/passwd';\n"),
        denied("write a file by COPY", &format!("copy (select 1) to '{CANARY}';\n")),
        denied("run a program by COPY TO", &format!("copy (select 1) to program 'touch {CANARY}';\n")),
        denied("run a program by COPY FROM", "create table t (x text);\ncopy t from program 'id';\n"),
        denied("read a file", "select pg_read_file('/etc/passwd');\n"),
        denied("read the server's own file", "select pg_read_binary_file('postgresql.auto.conf');\n"),
        denied("list a directory", "select pg_ls_dir('/');\n"),
        denied("list the server's logs", "select * from pg_ls_logdir();\n"),
        denied("list the WAL", "select * from pg_ls_waldir();\n"),
        denied("ask for a file's age", "select pg_stat_file('PG_VERSION');\n"),
        denied("import a large object", "select lo_import('/etc/passwd');\n"),
        denied("export a large object", &format!("select lo_export(lo_from_bytea(0, 'x'), '{CANARY}');\n")),
        denied("read pg_hba.conf", "select * from pg_hba_file_rules;\n"),
        denied("read the settings' files", "select * from pg_file_settings;\n"),
        denied("a tablespace", "create tablespace evil location '/tmp';\n"),
        denied(
            "an XML entity that names a file",
            "do $$ begin\n\
               if xmlparse(document '<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>')::text like '%root%' then return; end if;\n\
               raise insufficient_privilege;\n\
             exception when others then raise insufficient_privilege; end $$;\n",
        ),
    ]
}

fn settings() -> Vec<Attack> {
    vec![
        denied("ALTER SYSTEM", "alter system set archive_command = 'touch /tmp/offshoot-hostile-canary';\n"),
        denied("reload the settings", "select pg_reload_conf();\n"),
        denied("rotate the log", "select pg_rotate_logfile();\n"),
        denied("a checkpoint", "checkpoint;\n"),
        denied("switch the WAL", "select pg_switch_wal();\n"),
        denied("a restore point", "select pg_create_restore_point('evil');\n"),
        denied("promote", "select pg_promote();\n"),
        denied("a replication slot", "select pg_create_physical_replication_slot('evil');\n"),
        denied("a replication origin", "select pg_replication_origin_create('evil');\n"),
        denied("reset the statistics", "select pg_stat_reset_shared('bgwriter');\n"),
        denied("lift the limit of temporary files", "set temp_file_limit = -1;\n"),
        denied("log everybody's statements", "set log_statement = 'all';\n"),
        denied("switch triggers off", "set session_replication_role = replica;\n"),
        denied("preload a library", "set session_preload_libraries = 'evil';\n"),
        denied(
            "lift its own temp_file_limit for ever",
            "alter role current_user set temp_file_limit = -1;\n",
        ),
        harmless(
            "lift its own timeouts",
            "set statement_timeout = 0;\nset lock_timeout = 0;\nset idle_in_transaction_session_timeout = 0;\n",
        ),
    ]
}

fn code() -> Vec<Attack> {
    let c = "create function evil() returns int language c as '/tmp/evil.so', 'evil';\n";
    let internal = "create function evil(text) returns text language internal as 'pg_read_file';\n";
    vec![
        denied("a function in C", c),
        denied("a function of the server's inside", internal),
        denied("load a library", "load '/tmp/evil.so';\n"),
        fails("load a plug-in that is not there", "load '$libdir/plugins/evil';\n", &["58P01", "42501"]),
        denied("a language", "create language evil handler plpgsql_call_handler;\n"),
        fails("plpython3u", "create extension plpython3u;\n", UNAVAILABLE),
        fails("plperlu", "create extension plperlu;\n", UNAVAILABLE),
        fails("a function in plpython3u", "do language plpython3u $$ import os $$;\n", UNAVAILABLE),
        denied("dblink", "create extension dblink;\n"),
        denied("postgres_fdw", "create extension postgres_fdw;\n"),
        denied("file_fdw", "create extension file_fdw;\n"),
        fails("adminpack", "create extension adminpack;\n", UNAVAILABLE),
        denied("pageinspect", "create extension pageinspect;\n"),
        denied("pg_stat_statements", "create extension pg_stat_statements;\n"),
        denied("a foreign data wrapper", "create foreign data wrapper evil;\n"),
        denied(
            "an event trigger",
            "create function f() returns event_trigger language plpgsql as 'begin end';\ncreate event trigger e on ddl_command_start execute function f();\n",
        ),
        denied(
            "a base type",
            "create type evil;\ncreate function i(cstring) returns evil language internal as 'textin';\n",
        ),
        denied(
            "an operator class",
            "create operator class evil default for type int using btree as operator 1 <(int, int), function 1 btint4cmp(int, int);\n",
        ),
        denied("an access method", "create access method evil type table handler heap_tableam_handler;\n"),
        // It may be created by whoever may create in the database: what it brings must not be the attacker's own.
        fails(
            "an extension over an object of the attacker's",
            "create function hstore_to_text(x int) returns text language sql as 'select 1::text';\n\
             create type hstore as (x text);\ncreate extension hstore;\n",
            &["42710", "42723", "2F003", "55000"],
        ),
    ]
}
