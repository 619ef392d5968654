//! The schema as far as the chain has come: it knows what a next statement may refer to, and writes that statement as
//! `prisma migrate dev` does.

use super::words::{ADJECTIVES, NOUNS, TABLES, TYPES, VALUES};

#[derive(Debug, Default)]
pub(super) struct Schema {
    tables: Vec<Table>,
    enums: Vec<Enum>,
    /// Where the next statement that may go to any table goes.
    turn: usize,
}

#[derive(Debug)]
struct Table {
    name: &'static str,
    columns: Vec<String>,
    indexes: usize,
}

#[derive(Debug)]
struct Enum {
    name: String,
    values: usize,
}

/// A statement, and what a person would have called a migration that begins with it.
#[derive(Debug)]
pub(super) struct Statement {
    pub title: String,
    pub sql: String,
}

impl Statement {
    fn new(title: String, kind: &str, body: &str) -> Self {
        Self { title: title.to_lowercase(), sql: format!("-- {kind}\n{body}\n") }
    }
}

impl Schema {
    pub(super) fn has_all_tables(&self) -> bool {
        self.tables.len() == TABLES.len()
    }

    /// The next table, with a foreign key to an earlier one where there is one.
    pub(super) fn create_table(&mut self) -> Statement {
        let index = self.tables.len();
        let name = TABLES[index];
        let columns: Vec<String> = (0..3 + index % 5).map(|at| column_name(index + at)).collect();
        let mut lines = vec!["\"id\" TEXT NOT NULL".to_owned()];
        lines.extend(
            columns.iter().enumerate().map(|(at, name)| format!("\"{name}\" {}", TYPES[(index + at) % 8])),
        );
        lines.push("\"createdAt\" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP".to_owned());
        let parent = (index > 0).then(|| TABLES[index / 2]);
        lines.extend(parent.map(|_| "\"parentId\" TEXT".to_owned()));
        lines.push(format!("CONSTRAINT \"{name}_pkey\" PRIMARY KEY (\"id\")"));
        let mut body = format!("CREATE TABLE \"{name}\" (\n    {}\n);", lines.join(",\n    "));
        if let Some(parent) = parent {
            body.push_str(&format!(
                "\n\n-- AddForeignKey\nALTER TABLE \"{name}\" ADD CONSTRAINT \"{name}_parentId_fkey\" FOREIGN KEY (\"parentId\") \
                 REFERENCES \"{parent}\"(\"id\") ON DELETE SET NULL ON UPDATE CASCADE;"
            ));
        }
        self.tables.push(Table { name, columns, indexes: 0 });
        Statement::new(format!("add_{name}"), "CreateTable", &body)
    }

    pub(super) fn create_enum(&mut self) -> Statement {
        let name =
            format!("{}Kind{}", TABLES[self.enums.len() % TABLES.len()], self.enums.len() / TABLES.len());
        let body =
            format!("CREATE TYPE \"{name}\" AS ENUM ('{}', '{}', '{}');", VALUES[0], VALUES[1], VALUES[2]);
        let title = format!("add_{name}");
        self.enums.push(Enum { name, values: 3 });
        Statement::new(title, "CreateEnum", &body)
    }

    /// A column of the enum made last.
    pub(super) fn add_enum_column(&mut self) -> Statement {
        let kind = self.enums.last().expect("an enum is created first").name.clone();
        let table = self.next_table();
        let column = format!("kind{}", table.columns.len());
        let name = table.name;
        table.columns.push(column.clone());
        let body = format!(
            "ALTER TABLE \"{name}\" ADD COLUMN \"{column}\" \"{kind}\" NOT NULL DEFAULT '{}';",
            VALUES[0]
        );
        Statement::new(format!("{name}_{column}"), "AlterTable", &body)
    }

    pub(super) fn add_enum_value(&mut self) -> Statement {
        self.turn += 1;
        let at = self.turn % self.enums.len();
        let found = &mut self.enums[at];
        // Beyond the words there are numbers, so that no value comes twice.
        let value =
            VALUES.get(found.values).map_or_else(|| format!("LEVEL_{}", found.values), ToString::to_string);
        found.values += 1;
        let body = format!("ALTER TYPE \"{}\" ADD VALUE '{value}';", found.name);
        Statement::new(format!("{}_{value}", found.name), "AlterEnum", &body)
    }

    pub(super) fn add_column(&mut self) -> Statement {
        let table = self.next_table();
        let (name, count) = (table.name, table.columns.len());
        let column = format!("{}{count}", column_name(count * 7));
        table.columns.push(column.clone());
        let body = format!("ALTER TABLE \"{name}\" ADD COLUMN \"{column}\" {};", TYPES[count % TYPES.len()]);
        Statement::new(format!("{name}_{column}"), "AlterTable", &body)
    }

    pub(super) fn set_default(&mut self) -> Statement {
        let table = self.next_table();
        let name = table.name;
        let body = format!("ALTER TABLE \"{name}\" ALTER COLUMN \"createdAt\" SET DEFAULT now();");
        Statement::new(format!("{name}_default"), "AlterTable", &body)
    }

    pub(super) fn backfill(&mut self) -> Statement {
        let table = self.next_table();
        let name = table.name;
        let body = format!("UPDATE \"{name}\" SET \"createdAt\" = now() WHERE \"createdAt\" < '2020-01-01';");
        Statement::new(format!("backfill_{name}"), "Backfill", &body)
    }

    pub(super) fn create_function(&mut self) -> Statement {
        self.turn += 1;
        let name = format!("touch_{}", self.turn);
        let body = format!(
            "CREATE FUNCTION \"{name}\"() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN\n    NEW.\"createdAt\" := now(); -- one; two\n    \
             RETURN NEW;\nEND $$;"
        );
        Statement::new(name, "CreateFunction", &body)
    }

    /// An index, inside the file's transaction or outside of any.
    pub(super) fn create_index(&mut self, concurrently: bool) -> Statement {
        let table = self.next_table();
        let (name, at) = (table.name, table.indexes);
        // Columns of a type that btree refuses are not among those a table begins with, but JSON is.
        let indexed: Vec<&String> = table.columns.iter().collect();
        let column = indexed[at % indexed.len()].clone();
        table.indexes += 1;
        let how = if concurrently { "CONCURRENTLY " } else { "" };
        let body = format!("CREATE INDEX {how}\"{name}_{column}_{at}_idx\" ON \"{name}\"(\"{column}\");");
        Statement::new(format!("index_{name}_{column}"), "CreateIndex", &body)
    }

    fn next_table(&mut self) -> &mut Table {
        self.turn += 1;
        // A stride that shares no factor with the number of tables visits all of them.
        let at = (self.turn * 29) % self.tables.len();
        &mut self.tables[at]
    }
}

fn column_name(seed: usize) -> String {
    format!("{}{}", ADJECTIVES[seed % ADJECTIVES.len()], NOUNS[(seed / 3) % NOUNS.len()])
}
