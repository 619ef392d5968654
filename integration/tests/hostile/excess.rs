//! Too much of everything: time, disk, memory, locks, words.

use super::attack::{Attack, Told, brings, either, fails, harmless, named};

const OVERRUN: &[&str] = &["57014", "57P01"];
const TOO_LARGE: &[&str] = &["54000", "57014", "57P01"];

pub fn classes() -> Vec<Vec<Attack>> {
    vec![time(), space(), words()]
}

fn time() -> Vec<Attack> {
    let trap = "do $$ begin loop begin perform pg_sleep(600); exception when query_canceled then null; end; end loop; end $$;\n";
    vec![
        fails("sleep", "select pg_sleep(600);\n", OVERRUN),
        fails("sleep without a timeout", "set statement_timeout = 0;\nselect pg_sleep(600);\n", OVERRUN),
        fails("loop", "do $$ begin loop null; end loop; end $$;\n", OVERRUN),
        fails("loop and catch the timeout", trap, OVERRUN),
        fails(
            "a join of everything with everything",
            "select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b, generate_series(1, 1000) c;\n",
            &["57014", "57P01", "53400"],
        ),
        fails(
            "recursion without end",
            "with recursive r(x) as (select 1 union all select x + 1 from r) select count(*) from r;\n",
            &["57014", "57P01", "53400"],
        ),
        either(
            "a regular expression that backtracks",
            "select repeat('a', 3000) ~ '^(a|aa)*(a|aa)*\\1\\2\\1\\2b$';\n",
            &["57014", "57P01", "2201B"],
        ),
        fails(
            "a very slow hash",
            "create extension pgcrypto;\nselect crypt('x', gen_salt('bf', 31));\n",
            OVERRUN,
        ),
        fails(
            "recursion of functions",
            "create function f(i int) returns int language plpgsql as $$ begin return f(i + 1); end $$;\nselect f(1);\n",
            &["54001"],
        ),
        fails(
            "a deep expression",
            &format!("select {}1{};\n", "(".repeat(50_000), ")".repeat(50_000)),
            &["54001", "42601", "53200"],
        ),
        fails(
            "a deferred trigger that sleeps",
            "create function f() returns trigger language plpgsql as $$ begin perform pg_sleep(600); return null; end $$;\n\
             create constraint trigger t after insert on items deferrable initially deferred for each row execute function f();\n\
             insert into items (name) values ('x');\n",
            OVERRUN,
        ),
    ]
}

fn space() -> Vec<Attack> {
    vec![
        fails(
            "temporary files",
            "select count(*) from (select md5(i::text) from generate_series(1, 3000000) i order by 1) t;\n",
            &["53400", "57014"],
        ),
        fails(
            "tables without end",
            "set statement_timeout = 0;\ncreate table t (x text);\n\
             do $$ begin loop insert into t select repeat(md5(i::text), 20) from generate_series(1, 5000) i; end loop; end $$;\n",
            &["57014", "57P01", "53100"],
        ),
        fails(
            "all the locks there are",
            "do $$ begin for i in 1..40000 loop execute 'create table t' || i || ' (x int)'; end loop; end $$;\n",
            &["53200", "57014", "57P01"],
        ),
        harmless(
            "more memory for itself",
            "set work_mem = '1GB';\nset maintenance_work_mem = '1GB';\nset temp_buffers = '1GB';\nselect 1;\n",
        ),
        fails(
            "an allocation that is too large",
            "select repeat('x', 1100000000);\n",
            &["54000", "22001", "53200"],
        ),
        either(
            "a table of a thousand columns",
            "do $$ begin execute 'create table wide (' || (select string_agg(repeat('c', 50) || i || ' int', ',') from generate_series(1, 1000) i) || ')'; end $$;\n",
            OVERRUN,
        ),
        either(
            "notifications by the thousand",
            "do $$ begin for i in 1..20000 loop perform pg_notify('evil', repeat('x', 1000) || i); end loop; end $$;\n",
            OVERRUN,
        ),
    ]
}

fn words() -> Vec<Attack> {
    let injection = "```\\n</details><script>alert(1)</script><img src=x onerror=alert(1)> @everyone #1 [x](https://evil.example) ![x](https://evil.example/x.png) <!-- offshoot -->\\n\\n# heading\\n| a | b |\\n";
    vec![
        either(
            "ten thousand notices",
            "do $$ begin for i in 1..10000 loop raise notice 'notice %', i; end loop; end $$;\n",
            OVERRUN,
        ),
        // No message is taken that is larger than 16 MB. What runs into a timeout on a slow machine is contained as well.
        fails(
            "an enormous notice",
            "do $$ begin raise notice '%', repeat('x', 50000000); end $$;\n",
            TOO_LARGE,
        ),
        fails(
            "an enormous error",
            "do $$ begin raise exception '%', repeat('x', 30000000) using detail = repeat('d', 10000000), hint = repeat('h', 10000000); end $$;\n",
            TOO_LARGE,
        ),
        fails("an enormous row", "select repeat('x', 200000000);\n", TOO_LARGE),
        either("an enormous result", "select repeat('x', 1000) from generate_series(1, 50000);\n", OVERRUN),
        fails(
            "an error in Markdown and HTML",
            &format!(
                "do $$ begin raise exception '%', E'{injection}' using detail = E'{injection}', hint = E'{injection}'; end $$;\n"
            ),
            &["P0001"],
        ),
        fails(
            "an error in ANSI escapes",
            "do $$ begin raise exception '%', E'\\x1b[2J\\x1b]0;owned\\x07\\x1b[31mred\\x08\\x7f' using hint = E'\\x1b[2J'; end $$;\n",
            &["P0001"],
        ),
        fails(
            "an error that turns the text around",
            "do $$ begin raise exception '%', E'\\u202Eevil\\u2066'; end $$;\n",
            &["P0001"],
        ),
        fails(
            "a table named in Markdown",
            "select * from \"`|</td><script>alert(1)</script>\n\n# x\";\n",
            &["42P01"],
        ),
        fails("a zero byte", "select '\0';\n", &["08P01"]),
        fails(
            "an enormous file of nonsense",
            &"select 'x' from nowhere;\n".repeat(40_000),
            &["42P01", "57014"],
        ),
        brings(
            "a migration named in HTML",
            vec![named("20260301000000_<img src=x onerror=alert(1)>|`\u{202e}", "select 1;\n")],
            Told::Ready,
        ),
        brings(
            "a migration named in SQL",
            vec![named("20260301000000_'); drop table \"_prisma_migrations\"; --", "select 1;\n")],
            Told::Ready,
        ),
        brings(
            "a migration of a very long name that fails",
            vec![named(&format!("20260301000000_{}", "n".repeat(235)), "select 1/0;\n")],
            Told::Failed(&["22012"]),
        ),
        brings(
            "a migration named in ANSI escapes",
            vec![named("20260301000000_\u{1b}[2J\u{1b}[31m", "select 1/0;\n")],
            Told::Failed(&["22012"]),
        ),
    ]
}
