//! The queries that a fingerprint consists of. Each answers lines of text, and none prints an object id.
//!
//! What an extension brings is told by the extension's own line. Large objects and rows of tables are data.

/// Schemas of the server's own.
const OWN_SCHEMA: &str = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'";

/// Ids below this are what `initdb` made.
const FIRST_NORMAL_OID: &str = "16384";

struct Part {
    /// The first `server_version_num` whose catalogs hold what is asked for.
    since: i32,
    sql: &'static str,
}

const fn part(sql: &'static str) -> Part {
    Part { since: 0, sql }
}

/// `{own}` says that the schema `n` is not the server's, `{made:CLASS:OBJECT}` that an object is not an extension's.
const PARTS: [Part; 21] = [
    part(
        "select format('schema %I owner %s', n.nspname, pg_get_userbyid(n.nspowner)) as line
         from pg_namespace n where {own}",
    ),
    part(
        "select format('extension %I version %s schema %I owner %s', extname, extversion, n.nspname, pg_get_userbyid(extowner)) as line
         from pg_extension join pg_namespace n on n.oid = extnamespace",
    ),
    part(
        "select concat_ws(' ', 'relation', format('%I.%I', n.nspname, c.relname), 'kind', c.relkind, 'persistence', c.relpersistence,
             'owner', pg_get_userbyid(c.relowner), 'access', (select amname from pg_am where pg_am.oid = c.relam),
             'row security', c.relrowsecurity, c.relforcerowsecurity, 'replica identity', c.relreplident,
             'options', c.reloptions::text, 'of type', nullif(c.reloftype, 0)::regtype::text,
             'inherits', (select string_agg(inhparent::regclass::text, ', ' order by inhseqno) from pg_inherits where inhrelid = c.oid),
             'partition of', pg_get_expr(c.relpartbound, c.oid),
             'partitioned by', case c.relkind when 'p' then pg_get_partkeydef(c.oid) end,
             'as', case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end) as line
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where {own} and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f', 'c') and {made:pg_class:c.oid}",
    ),
    part(
        "select concat_ws(' ', 'column', format('%I.%I.%I', n.nspname, c.relname, a.attname), 'at', a.attnum,
             format_type(a.atttypid, a.atttypmod), 'collate', nullif(a.attcollation, 0)::regcollation::text,
             case when a.attnotnull then 'not null' end, 'default', pg_get_expr(d.adbin, d.adrelid),
             'identity', nullif(a.attidentity, ''), 'generated', nullif(a.attgenerated, ''),
             'storage', a.attstorage, 'compression', nullif(a.attcompression, ''),
             'statistics', nullif(a.attstattarget, -1), 'options', a.attoptions::text, a.attfdwoptions::text,
             'local', a.attislocal, 'inherited', a.attinhcount) as line
         from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
         left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
         where {own} and c.relkind in ('r', 'p', 'v', 'm', 'f', 'c') and a.attnum > 0 and not a.attisdropped
             and {made:pg_class:c.oid}",
    ),
    part(
        "select concat_ws(' ', 'constraint', quote_ident(o.conname), 'on', nullif(o.conrelid, 0)::regclass::text, nullif(o.contypid, 0)::regtype::text,
             pg_get_constraintdef(o.oid), 'validated', o.convalidated, 'local', o.conislocal, o.coninhcount, o.connoinherit) as line
         from pg_constraint o join pg_namespace n on n.oid = o.connamespace
         where {own} and {made:pg_constraint:o.oid}
             and not exists (select from pg_depend e where e.classid = 'pg_class'::regclass and e.objid = o.conrelid and e.deptype = 'e')",
    ),
    part(
        "select concat_ws(' ', 'index', pg_get_indexdef(i.indexrelid), 'valid', i.indisvalid, 'ready', i.indisready,
             'primary', i.indisprimary, 'clustered', i.indisclustered, 'replica identity', i.indisreplident,
             'options', c.reloptions::text) as line
         from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
         where {own} and {made:pg_class:i.indrelid}",
    ),
    part(
        "select concat_ws(' ', 'type', format('%I.%I', n.nspname, t.typname), 'kind', t.typtype, 'owner', pg_get_userbyid(t.typowner),
             'values', (select string_agg(quote_literal(enumlabel), ', ' order by enumsortorder) from pg_enum where enumtypid = t.oid),
             'base', case t.typtype when 'd' then format_type(t.typbasetype, t.typtypmod) end,
             case when t.typnotnull then 'not null' end, 'default', t.typdefault,
             'collate', nullif(t.typcollation, 0)::regcollation::text,
             'range of', (select concat_ws(' ', format_type(rngsubtype, null), nullif(rngcollation, 0)::regcollation::text,
                              (select opcname from pg_opclass where oid = rngsubopc), rngcanonical::text, rngsubdiff::text)
                          from pg_range where rngtypid = t.oid)) as line
         from pg_type t join pg_namespace n on n.oid = t.typnamespace
         where {own} and {made:pg_type:t.oid} and t.typelem = 0 and t.typrelid = 0",
    ),
    part(
        "select concat_ws(' ', 'function', p.oid::regprocedure::text, 'kind', p.prokind, 'owner', pg_get_userbyid(p.proowner),
             case when p.prokind = 'a' then concat_ws(' ', a.aggkind, a.aggtransfn::text, a.aggfinalfn::text, a.aggcombinefn::text,
                      a.aggserialfn::text, a.aggdeserialfn::text, a.aggmtransfn::text, a.aggminvtransfn::text, a.aggmfinalfn::text,
                      format_type(a.aggtranstype, null), quote_literal(a.agginitval), quote_literal(a.aggminitval),
                      nullif(a.aggsortop, 0)::regoperator::text, p.proparallel)
                  else pg_get_functiondef(p.oid) end) as line
         from pg_proc p join pg_namespace n on n.oid = p.pronamespace left join pg_aggregate a on a.aggfnoid = p.oid
         where {own} and {made:pg_proc:p.oid}",
    ),
    part(
        "select concat_ws(' ', 'trigger', pg_get_triggerdef(t.oid), 'enabled', t.tgenabled) as line
         from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
         where {own} and not t.tgisinternal and {made:pg_trigger:t.oid}",
    ),
    part(
        "select concat_ws(' ', 'event trigger', quote_ident(evtname), evtevent, 'owner', pg_get_userbyid(evtowner), evtfoid::regprocedure::text,
             'enabled', evtenabled, 'tags', evttags::text) as line
         from pg_event_trigger e where {made:pg_event_trigger:e.oid}",
    ),
    part(
        "select concat_ws(' ', 'rule', pg_get_ruledef(r.oid), 'enabled', r.ev_enabled) as line
         from pg_rewrite r join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace
         where {own} and r.rulename <> '_RETURN' and {made:pg_class:c.oid}",
    ),
    part(
        "select concat_ws(' ', 'policy', quote_ident(p.polname), 'on', p.polrelid::regclass::text, 'for', p.polcmd, 'permissive', p.polpermissive,
             'to', (select string_agg(case r when 0 then 'public' else pg_get_userbyid(r)::text end, ', '
                                      order by case r when 0 then 'public' else pg_get_userbyid(r)::text end)
                    from unnest(p.polroles) r),
             'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid)) as line
         from pg_policy p",
    ),
    part(
        "select concat_ws(' ', 'sequence', s.seqrelid::regclass::text, format_type(s.seqtypid, null), s.seqstart, s.seqincrement, s.seqmin, s.seqmax,
             s.seqcache, s.seqcycle,
             'of', (select concat_ws(' ', d.refobjid::regclass::text, d.refobjsubid, d.deptype) from pg_depend d
                    where d.classid = 'pg_class'::regclass and d.objid = s.seqrelid and d.refclassid = 'pg_class'::regclass
                        and d.deptype in ('a', 'i'))) as line
         from pg_sequence s where {made:pg_class:s.seqrelid}",
    ),
    part(
        "select format('grant %s on %s to %s by %s%s', a.privilege_type, object, case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end,
             pg_get_userbyid(a.grantor), case when a.is_grantable then ' with grant option' else '' end) as line
         from (
             select 'schema ' || quote_ident(n.nspname) as object, coalesce(n.nspacl, acldefault('n', n.nspowner)) as acl
             from pg_namespace n where {own}
             union all
             select 'relation ' || c.oid::regclass, coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::\"char\", c.relowner))
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where {own} and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and {made:pg_class:c.oid}
             union all
             select 'column ' || c.oid::regclass || '.' || quote_ident(t.attname), t.attacl
             from pg_attribute t join pg_class c on c.oid = t.attrelid join pg_namespace n on n.oid = c.relnamespace
             where {own} and t.attacl is not null and not t.attisdropped
             union all
             select 'function ' || p.oid::regprocedure, coalesce(p.proacl, acldefault('f', p.proowner))
             from pg_proc p join pg_namespace n on n.oid = p.pronamespace where {own} and {made:pg_proc:p.oid}
             union all
             select 'type ' || t.oid::regtype, coalesce(t.typacl, acldefault('T', t.typowner))
             from pg_type t join pg_namespace n on n.oid = t.typnamespace
             where {own} and t.typelem = 0 and t.typrelid = 0 and {made:pg_type:t.oid}
         ) as objects, aclexplode(acl) as a",
    ),
    part(
        "select format('default grant for %s in %s on %s: %s to %s%s', pg_get_userbyid(d.defaclrole),
             coalesce((select n.nspname::text from pg_namespace n where n.oid = d.defaclnamespace), '(all)'), d.defaclobjtype, a.privilege_type,
             case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end,
             case when a.is_grantable then ' with grant option' else '' end) as line
         from pg_default_acl d, aclexplode(d.defaclacl) a",
    ),
    part(
        "select format('comment on %s: %s', pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description) as line
         from pg_description d
         where (d.objoid >= {first} or d.objoid = 'public'::regnamespace) and {made:d.classoid:d.objoid}",
    ),
    part(
        "select concat_ws(' ', 'statistics', pg_get_statisticsobjdef(s.oid), 'owner', pg_get_userbyid(s.stxowner)) as line
         from pg_statistic_ext s where {made:pg_statistic_ext:s.oid}",
    ),
    part(
        "select concat_ws(' ', 'publication', quote_ident(p.pubname), 'owner', pg_get_userbyid(p.pubowner), p.puballtables, p.pubinsert, p.pubupdate,
             p.pubdelete, p.pubtruncate, p.pubviaroot,
             'tables', (select string_agg(r.prrelid::regclass::text, ', ' order by r.prrelid::regclass::text)
                        from pg_publication_rel r where r.prpubid = p.oid)) as line
         from pg_publication p",
    ),
    // All else that a schema can hold, by what identifies it; and what of it decides how it works.
    part(
        "select concat_ws(' ', i.type, i.identity, 'owner', pg_get_userbyid(o.owner), o.detail) as line
         from (
             select 'pg_cast'::regclass as class, c.oid, null::oid as owner, concat_ws(' ', nullif(castfunc, 0)::regprocedure::text, castcontext, castmethod) as detail from pg_cast c
             union all select 'pg_collation'::regclass, oid, collowner, concat_ws(' ', collprovider, collisdeterministic, collencoding) from pg_collation
             union all select 'pg_conversion'::regclass, oid, conowner, conproc::text from pg_conversion
             union all select 'pg_operator'::regclass, oid, oprowner, concat_ws(' ', oprcode::text, oprcom::regoperator::text, oprnegate::regoperator::text, oprrest::text, oprjoin::text, oprcanmerge, oprcanhash) from pg_operator
             union all select 'pg_opclass'::regclass, oid, opcowner, concat_ws(' ', opcintype::regtype::text, opcdefault) from pg_opclass
             union all select 'pg_opfamily'::regclass, oid, opfowner, null from pg_opfamily
             union all select 'pg_ts_config'::regclass, c.oid, cfgowner, (select string_agg(maptokentype || ' ' || mapdict::regdictionary, ', ' order by maptokentype, mapseqno) from pg_ts_config_map where mapcfg = c.oid) from pg_ts_config c
             union all select 'pg_ts_dict'::regclass, oid, dictowner, dictinitoption from pg_ts_dict
             union all select 'pg_foreign_data_wrapper'::regclass, oid, fdwowner, fdwoptions::text from pg_foreign_data_wrapper
             union all select 'pg_foreign_server'::regclass, oid, srvowner, srvoptions::text from pg_foreign_server
             union all select 'pg_language'::regclass, oid, lanowner, lanpltrusted::text from pg_language
             union all select 'pg_am'::regclass, oid, null, amtype::text from pg_am
             union all select 'pg_transform'::regclass, oid, null, null from pg_transform
         ) as o, pg_identify_object(o.class, o.oid, 0) as i
         where o.oid >= {first} and {made:o.class:o.oid}",
    ),
    // A migration can change how its own role logs in; a database's own settings are not a branch's to change.
    part(
        "select format('setting %s', s.setting) as line
         from pg_db_role_setting r, unnest(r.setconfig) as s (setting)
         where r.setrole = (select oid from pg_roles where rolname = session_user)",
    ),
    Part {
        since: 150_000,
        sql: "select concat_ws(' ', 'published', quote_ident(p.pubname), n.nspname) as line
              from pg_publication_namespace s join pg_publication p on p.oid = s.pnpubid join pg_namespace n on n.oid = s.pnnspid",
    },
];

/// The queries of a server's version.
pub(super) fn all(version: i32) -> impl Iterator<Item = String> {
    PARTS.iter().filter(move |part| part.since <= version).map(|part| expand(part.sql))
}

fn expand(sql: &str) -> String {
    let mut sql = sql.replace("{own}", OWN_SCHEMA).replace("{first}", FIRST_NORMAL_OID);
    while let Some(start) = sql.find("{made:") {
        let end = start + sql[start..].find('}').expect("every placeholder ends");
        let (class, object) =
            sql[start + 6..end].rsplit_once(':').expect("a placeholder names class and object");
        let class = if class.starts_with("pg_") { format!("'{class}'::regclass") } else { class.to_owned() };
        let made = format!(
            "not exists (select from pg_depend m where m.classid = {class} and m.objid = {object} and m.deptype = 'e')"
        );
        sql.replace_range(start..=end, &made);
    }
    sql
}
