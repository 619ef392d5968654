//! A base whose migrations are hostile: what they leave is frozen into a layer, which an administrator hands over to each clone's role.

use anyhow::{Context, Result, ensure};
use integration::github::NewPullRequest;
use integration::offshoot::{BranchRef, connect};

use super::Stage;
use crate::shop::{self, column, migration};

/// What the base brings, by the name of its repository.
const BASES: [(&str, &str); 4] = [
    (
        "names",
        r#"create schema "s'); alter role ""x"" superuser; --";
           create table "s'); alter role ""x"" superuser; --"."t""; drop database postgres; --" (x int);
           create table "$takeover$ end; $$;" (x int);
           alter table "$takeover$ end; $$;" enable row level security;
           create policy "p'); select pg_read_file('/etc/passwd'); --" on "$takeover$ end; $$;" to current_user using (true);
           create function "f""()' || pg_sleep(100) || '"(int) returns int language sql as 'select 1';
           create type "t%I%s%L" as enum ('a');
           alter default privileges in schema "s'); alter role ""x"" superuser; --" grant select on tables to current_user;
           grant all on "$takeover$ end; $$;" to current_user with grant option;"#,
    ),
    (
        "shadows",
        "create function public.format(text, text, text) returns text language plpgsql as $$ begin return 'alter role evil superuser'; end $$;
         create function public.format(text, variadic text[]) returns text language plpgsql as $$ begin raise 'shadowed'; end $$;
         create function public.quote_ident(name) returns text language plpgsql as $$ begin raise 'shadowed'; end $$;
         create function public.pg_get_userbyid(oid) returns name language plpgsql as $$ begin return 'postgres'; end $$;
         create function public.aclexplode(aclitem[]) returns setof record language plpgsql as $$ begin raise 'shadowed'; end $$;
         create function public.oid_eq(oid, oid) returns boolean language plpgsql as $$ begin raise 'shadowed'; end $$;
         create operator public.= (leftarg = oid, rightarg = oid, function = public.oid_eq);
         create table public.pg_default_acl (x int);
         create view public.pg_authid as select 1::oid as oid, 'evil'::name as rolname;
         create domain public.text as pg_catalog.text check (value <> 'x');",
    ),
    (
        "privileges",
        "grant all on items to public;
         grant all on items to {neighbour} with grant option;
         alter default privileges grant all on tables to {neighbour} with grant option;
         alter default privileges grant all on functions to public;
         alter default privileges revoke execute on functions from public;
         alter default privileges revoke all on tables from offshoot_readers;
         alter table items enable row level security, force row level security;
         create policy p on items to {neighbour}, current_user using (true);
         grant create on schema public to {neighbour};
         create type t as (x int); revoke usage on type t from public; grant usage on type t to {neighbour};",
    ),
    (
        "things",
        "create publication p for table items;
         select lo_from_bytea(0, 'x');
         create function failing(int) returns int language plpgsql immutable as $$ begin if current_user !~ '^offshoot_|^acme_' then raise 'run as %', current_user; end if; return $1; end $$;
         create table indexed (x int check (failing(x) = x));
         insert into indexed values (1);
         create index on indexed (failing(x));
         create materialized view seen as select failing(x) as y from indexed;
         create rule r as on insert to indexed do also select failing(1);
         create text search configuration c (copy = simple);
         create statistics st on id, name from items;
         create collation co (locale = 'C');
         create aggregate total(int) (sfunc = int4pl, stype = int);
         create extension if not exists pgcrypto;
         do $$ begin for i in 1..100 loop execute 'create table many_' || i || ' (id serial primary key)'; end loop; end $$;
         create function looks() returns trigger language plpgsql as $$ begin if (select rolsuper from pg_roles where rolname = current_user) then execute 'alter role ' || quote_ident(session_user) || ' superuser'; end if; return new; end $$;
         create trigger looks before insert or update on _prisma_migrations for each row execute function looks();",
    ),
];

/// Each base gets a pull request of its own, whose branch is a clone.
pub async fn attack(stage: &Stage) -> Result<()> {
    for (name, sql) in BASES {
        clone_of(stage, name, sql).await.with_context(|| format!("the base {name:?}"))?;
    }
    Ok(())
}

async fn clone_of(stage: &Stage, name: &str, sql: &str) -> Result<()> {
    let world = &stage.world;
    let sql = sql.replace("{neighbour}", &stage.neighbour_name());
    let base = [shop::base(), vec![migration("20260102000000_hostile", &sql)]].concat();
    world.github.create_repository("hostile", name, "main", &base)?;
    let full_name = format!("hostile/{name}");
    let sha = world.github.push(&full_name, "change", &[column("color")])?.to_string();
    let number = world.github.open_pull_request(&NewPullRequest::new(&full_name, "main", "change"))?;
    let branch = BranchRef::new(&full_name, number);
    let answer = stage.verdict(&branch, &sha).await?;
    ensure!(answer.status == 200, "{}", answer.body);
    let client = connect(answer.database_url()?).await?;
    let strangers = "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                     where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and pg_catalog.pg_get_userbyid(c.relowner) <> current_user \
                     and not exists (select from pg_catalog.pg_depend d where d.objid OPERATOR(pg_catalog.=) c.oid and d.deptype = 'e')";
    client.batch_execute("set search_path = pg_catalog").await?;
    let left: i64 = client.query_one(strangers, &[]).await?.try_get(0)?;
    ensure!(left == 0, "{left} relations are not the branch's own");
    world.github.close(&full_name, number)?;
    Ok(())
}
