//! A database's schema as lines of text, to compare two databases that were made in different ways.

use anyhow::{Context, Result};
use tokio_postgres::Client;

/// Whose schema says nothing about the user's own.
const SYSTEM: &str = "nspname !~ '^pg_' AND nspname <> 'information_schema'";

/// Each query yields lines of text. None names an object id, an owner or a privilege.
const PARTS: [(&str, &str); 9] = [
    ("schemas", "SELECT 'schema ' || nspname FROM pg_namespace WHERE {system}"),
    (
        "extensions",
        "SELECT format('extension %s in %s', extname, nspname)
         FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname <> 'plpgsql'",
    ),
    (
        "relations",
        "SELECT format('relation %s.%s kind %s persistence %s%s', nspname, relname, relkind, relpersistence,
                       CASE WHEN relkind IN ('v', 'm') THEN ' as ' || pg_get_viewdef(pg_class.oid) ELSE '' END)
         FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
         WHERE {system} AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')",
    ),
    (
        "columns",
        "SELECT format('column %s.%s.%s at %s: %s%s%s%s', nspname, relname, attname, attnum,
                       format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN ' not null' ELSE '' END,
                       ' default ' || pg_get_expr(adbin, adrelid), attidentity::text || attgenerated::text)
         FROM pg_attribute
         JOIN pg_class ON pg_class.oid = attrelid
         JOIN pg_namespace ON pg_namespace.oid = relnamespace
         LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
         WHERE {system} AND relkind IN ('r', 'p', 'v', 'm', 'f') AND attnum > 0 AND NOT attisdropped",
    ),
    (
        "indexes",
        "SELECT format('index %s%s', pg_get_indexdef(indexrelid), CASE WHEN indisvalid THEN '' ELSE ' invalid' END)
         FROM pg_index
         JOIN pg_class ON pg_class.oid = indexrelid
         JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE {system}",
    ),
    (
        "constraints",
        "SELECT format('constraint %s.%s on %s: %s', nspname, conname, conrelid::regclass, pg_get_constraintdef(pg_constraint.oid))
         FROM pg_constraint JOIN pg_namespace ON pg_namespace.oid = connamespace WHERE {system} AND contype <> 'n'",
    ),
    (
        "types",
        "SELECT format('type %s.%s kind %s %s of (%s)', nspname, typname, typtype,
                       format_type(nullif(typbasetype, 0), typtypmod),
                       (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder)
                        FROM pg_enum WHERE enumtypid = pg_type.oid))
         FROM pg_type JOIN pg_namespace ON pg_namespace.oid = typnamespace
         WHERE {system} AND typtype IN ('e', 'd', 'r')",
    ),
    (
        "functions",
        "SELECT format('function %s.%s(%s) kind %s: %s', nspname, proname, pg_get_function_identity_arguments(pg_proc.oid),
                       prokind, CASE WHEN prokind IN ('f', 'p') THEN pg_get_functiondef(pg_proc.oid) END)
         FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
         WHERE {system} AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')",
    ),
    (
        "triggers",
        "SELECT 'trigger ' || pg_get_triggerdef(pg_trigger.oid)
         FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
         JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE {system} AND NOT tgisinternal",
    ),
];

/// Everything that a schema is made of, one object a line, sorted. Object ids, owners and privileges are left out;
/// so are NOT NULL constraints, which only PostgreSQL 18 keeps as such: the columns tell them.
pub async fn schema_fingerprint(client: &Client) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for (part, sql) in PARTS {
        let rows = client.query(&sql.replace("{system}", SYSTEM), &[]).await;
        for row in rows.with_context(|| format!("list the {part} of a database"))? {
            lines.push(row.try_get::<_, String>(0)?);
        }
    }
    lines.sort_unstable();
    Ok(lines)
}
