//! Seeds, and files that are not what they look like.

use integration::git::Change;

use super::attack::{Attack, Told, brings};
use crate::shop::MIGRATIONS;

pub fn attacks() -> Vec<Attack> {
    let seed = |path: &str, text: &str| Change::write(format!("seed/{path}"), text);
    vec![
        brings(
            "a seed that runs a program",
            vec![seed("1.sql", "copy items (name) from program 'id';\n")],
            Told::Failed(&["42501"]),
        ),
        brings(
            "a seed that speaks to psql",
            vec![seed("1.sql", "\\! touch /tmp/offshoot-hostile-canary\n\\copy items from '/etc/passwd'\n")],
            Told::Failed(&["42601"]),
        ),
        brings(
            "a seed that ends its transaction",
            vec![seed(
                "1.sql",
                "insert into items (name) values ('x');\ncommit;\nset role {administrator};\n",
            )],
            Told::Failed(&["42501", "22023", "42704"]),
        ),
        brings(
            "a seed that forges the bookkeeping",
            vec![seed("1.sql", "update _prisma_migrations set checksum = 'x';\n")],
            Told::Failed(&["bookkeeping"]),
        ),
        brings(
            "a CSV whose header is SQL",
            vec![seed("items.csv", "\"name) from program 'touch /tmp/offshoot-hostile-canary' --\"\nx\n")],
            Told::Failed(&["42703"]),
        ),
        brings(
            "a CSV whose header breaks out of its quotes",
            vec![seed("items.csv", "\"name\"\"; drop table items; --\"\nx\n")],
            Told::Failed(&["42703"]),
        ),
        brings(
            "a CSV whose name is SQL",
            vec![seed("10_items (name) from program 'id' --.csv", "name\nx\n")],
            Told::Failed(&["42P01"]),
        ),
        brings(
            "a CSV for a catalogue",
            vec![seed("pg_catalog.pg_authid.csv", "rolname,rolsuper\nevil,t\n")],
            Told::Failed(&["42501", "42P01"]),
        ),
        brings(
            "a CSV into the bookkeeping",
            vec![seed("_prisma_migrations.csv", "id,checksum,migration_name\nx,y,20260302000000_forged\n")],
            Told::Failed(&["bookkeeping"]),
        ),
        brings(
            "a CSV with a field of megabytes",
            vec![seed("items.csv", &format!("name\n{}\n", "x".repeat(5_000_000)))],
            Told::Either(&["57014", "57P01"]),
        ),
        brings(
            "a CSV of a hundred thousand columns",
            vec![seed("items.csv", &format!("{}\n", "name,".repeat(100_000)))],
            Told::Failed(&["name", "42701", "54011", "54000"]),
        ),
        brings(
            "a CSV with a zero byte",
            vec![seed("items.csv", "name\na\0b\n")],
            Told::Failed(&["22021", "22P04"]),
        ),
        brings(
            "a seed that is a link to a file of the host",
            vec![Change::Symlink { path: "seed/1.sql".to_owned(), target: "/etc/passwd".to_owned() }],
            // It is no file, so it is no seed.
            Told::Ready,
        ),
        brings(
            "a migration that is a link to a file of the host",
            vec![Change::Symlink {
                path: format!("{MIGRATIONS}/20260301000000_attack/migration.sql"),
                target: "../../../../../../etc/passwd".to_owned(),
            }],
            Told::Failed(&["42601", "link", "migration.sql"]),
        ),
        // Configuration is read from the base.
        brings(
            "a configuration of the pull request's own",
            vec![Change::write(
                ".offshoot.toml",
                "[[database]]\nname = \"main\"\nextensions = [\"dblink\", \"plpython3u\"]\nseed = [\"seed/*.sql\"]\n[branch]\nforks = \"always\"\n",
            )],
            Told::Ready,
        ),
    ]
}
