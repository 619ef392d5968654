//! A file of SQL as PostgreSQL's parser divides it, to name the statement that failed. Files are run whole and never by these pieces.

use std::ops::Range;

use squawk_lexer::{TokenKind, tokenize};

/// The statement that a server stopped at, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedStatement {
    pub text: String,
    /// Counted from 1.
    pub line: u32,
    /// In characters, counted from 1.
    pub column: u32,
}

/// The byte ranges of a file's statements, without the comments and spaces around them and without their semicolons.
/// The n-th is the n-th that the server completes; empty statements are none.
pub fn statements(sql: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut current: Option<Range<usize>> = None;
    let mut scanner = Scanner::default();
    let mut at = 0;
    for token in tokenize(sql) {
        let span = at..at + token.len as usize;
        at = span.end;
        match token.kind {
            TokenKind::Eof => break,
            TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. } => {}
            TokenKind::Semi if scanner.is_at_top() => {
                found.extend(current.take());
                scanner = Scanner::default();
            }
            kind => {
                scanner.see(kind, &sql[span.clone()]);
                current = Some(current.map_or(span.start, |statement| statement.start)..span.end);
            }
        }
    }
    found.extend(current);
    found
}

/// Whether a server in a failed transaction surely refuses a file whole: its first statement ends no transaction.
pub fn needs_a_sound_transaction(sql: &str) -> bool {
    const BEGINNINGS: [&str; 16] = [
        "alter", "call", "comment", "create", "delete", "do", "drop", "grant", "insert", "refresh", "revoke",
        "select", "set", "truncate", "update", "with",
    ];
    let Some(first) = statements(sql).into_iter().next() else { return false };
    // Where the server's lines end otherwise than ours, so may the comments before it.
    let is_clear = !sql[..first.start].contains('\r');
    let word = words(&sql[first]).next().unwrap_or_default();
    is_clear && BEGINNINGS.iter().any(|beginning| word.eq_ignore_ascii_case(beginning))
}

/// What a file can have to do with a table that none but Prisma uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It only defines things within a schema, and none of them by the table's name: it cannot tell what the table's rows say.
    None,
    /// It also writes to other tables, whose triggers may look at the rows. It leaves the table and the transaction as they are.
    Looks,
    Any,
}

/// What a file can have to do with `table`, by what it says.
pub fn effect_on(sql: &str, table: &str) -> Effect {
    let small = sql.to_ascii_lowercase();
    // A comment may end sooner for the server than for us, and a name may be written in escapes.
    if sql.contains('\r') || small.contains(table) || small.contains("u&\"") {
        return Effect::Any;
    }
    let effects = statements(sql).into_iter().map(|statement| effect_of(&sql[statement]));
    effects.max().unwrap_or(Effect::None)
}

fn effect_of(statement: &str) -> Effect {
    const DEFINING: [&str; 4] = ["alter", "comment", "create", "drop"];
    const DEFINED: [&str; 13] = [
        "domain",
        "extension",
        "function",
        "index",
        "materialized",
        "on",
        "or",
        "sequence",
        "table",
        "trigger",
        "type",
        "unique",
        "view",
    ];
    const WRITING: [&str; 3] = ["delete", "insert", "update"];
    let mut words = words(statement).map(str::to_ascii_lowercase);
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match (first.as_str(), second.as_str()) {
        (first, second) if DEFINING.contains(&first) && DEFINED.contains(&second) => Effect::None,
        (first, _) if WRITING.contains(&first) => Effect::Looks,
        _ => Effect::Any,
    }
}

/// What a statement is made of, without comments and spaces.
fn words(statement: &str) -> impl Iterator<Item = &str> {
    let mut at = 0;
    tokenize(statement).filter_map(move |token| {
        let span = at..at + token.len as usize;
        at = span.end;
        let is_between = matches!(
            token.kind,
            TokenKind::Eof | TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. }
        );
        (!is_between).then(|| &statement[span])
    })
}

/// The statement that failed: the one around the server's position (in characters, from 1), else the one after `completed` others.
pub fn failing_statement(sql: &str, completed: usize, position: Option<u32>) -> Option<FailedStatement> {
    let statements = statements(sql);
    let Some(position) = position else {
        let statement = statements.get(completed)?;
        let (line, column) = line_and_column(sql, statement.start);
        return Some(FailedStatement { text: sql[statement.clone()].to_owned(), line, column });
    };
    let offset = byte_offset(sql, position);
    let (line, column) = line_and_column(sql, offset);
    let around = statements
        .iter()
        .find(|statement| offset <= statement.end)
        .or(statements.last())
        .map_or("", |statement| &sql[statement.clone()]);
    Some(FailedStatement { text: around.to_owned(), line, column })
}

/// Line and column, both from 1, of a byte offset; the column counts characters.
pub fn line_and_column(sql: &str, offset: usize) -> (u32, u32) {
    let before = &sql[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).saturating_add(1);
    (count(before.matches('\n').count()), count(before[line_start..].chars().count()))
}

/// The byte at which the server's position (in characters, from 1) stands; the end for one that is beyond it.
fn byte_offset(sql: &str, position: u32) -> usize {
    let characters = usize::try_from(position).unwrap_or(usize::MAX).saturating_sub(1);
    sql.char_indices().nth(characters).map_or(sql.len(), |(offset, _)| offset)
}

/// Tells the semicolons that end a statement from those inside `( … )` of a rule and inside `BEGIN ATOMIC … END`.
#[derive(Debug, Default)]
struct Scanner {
    parentheses: usize,
    /// `BEGIN ATOMIC` and the `CASE`s inside of it, each closed by an `END`.
    blocks: usize,
    begin_was_last: bool,
    /// The statement's first two words, in which `CREATE` announces that it may have a body.
    words: u8,
    creates: bool,
}

impl Scanner {
    fn is_at_top(&self) -> bool {
        self.parentheses == 0 && self.blocks == 0
    }

    fn see(&mut self, kind: TokenKind, text: &str) {
        let follows_begin = std::mem::take(&mut self.begin_was_last);
        match kind {
            TokenKind::OpenParen => self.parentheses += 1,
            TokenKind::CloseParen => self.parentheses = self.parentheses.saturating_sub(1),
            TokenKind::Ident => self.see_word(text, follows_begin),
            _ => {}
        }
        self.words = self.words.saturating_add(1);
    }

    fn see_word(&mut self, word: &str, follows_begin: bool) {
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
        if self.words == 0 {
            self.creates = is("create");
        } else if !self.creates {
        } else if is("begin") {
            self.begin_was_last = true;
        } else if follows_begin && is("atomic") && self.blocks == 0 {
            self.blocks = 1;
        } else if self.blocks > 0 && is("case") {
            self.blocks += 1;
        } else if self.blocks > 0 && is("end") {
            self.blocks -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(sql: &str) -> Vec<&str> {
        statements(sql).into_iter().map(|range| &sql[range]).collect()
    }

    #[test]
    fn statements_end_where_the_server_ends_them() {
        assert_eq!(texts(""), [""; 0]);
        assert_eq!(texts("-- only this\n;;/* and ; this */;"), [""; 0]);
        assert_eq!(texts("select 1; ; select 2"), ["select 1", "select 2"]);
        assert_eq!(
            texts("select ';', E'\\';', $$;$$, $a$;$$;$a$, \";\";x"),
            ["select ';', E'\\';', $$;$$, $a$;$$;$a$, \";\"", "x"]
        );
        assert_eq!(texts("/* a /* b; */ ; */ select 1 -- c;\n;select 2"), ["select 1", "select 2"]);
        assert_eq!(
            texts("select U&'\\0441;' ; select a$b;select 1"),
            ["select U&'\\0441;'", "select a$b", "select 1"]
        );
    }

    #[test]
    fn bodies_keep_their_semicolons() {
        let function = "CREATE FUNCTION f(a int) RETURNS int BEGIN ATOMIC SELECT CASE WHEN a > 1 THEN 2 ELSE 3 END; SELECT a; END";
        assert_eq!(texts(&format!("{function}; SELECT 1;")), [function, "SELECT 1"]);
        let rule =
            "CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO u VALUES (1); INSERT INTO u VALUES (2))";
        assert_eq!(texts(&format!("{rule}; BEGIN; COMMIT")), [rule, "BEGIN", "COMMIT"]);
        assert_eq!(
            texts("BEGIN; SELECT CASE WHEN true THEN 1 END; END;"),
            ["BEGIN", "SELECT CASE WHEN true THEN 1 END", "END"]
        );
        assert_eq!(
            texts("CREATE TABLE \"begin\" (atomic int); SELECT 1"),
            ["CREATE TABLE \"begin\" (atomic int)", "SELECT 1"]
        );
    }

    #[test]
    fn what_may_end_a_transaction_does_not_need_a_sound_one() {
        for sql in [
            "create table a (id int)",
            "-- CreateTable\nCREATE TABLE a (id int);",
            "/* a; */\n;;select 1; rollback",
        ] {
            assert!(needs_a_sound_transaction(sql), "{sql}");
        }
        for sql in [
            "",
            "-- nothing",
            "rollback; create table a (id int)",
            "COMMIT",
            "end",
            "/* */ abort;",
            "prepare transaction 'x'",
            "-- a comment here\rrollback; -- and one there\ncreate table a (id int)",
            "creates",
            "\"create\"",
            "(select 1)",
        ] {
            assert!(!needs_a_sound_transaction(sql), "{sql:?}");
        }
    }

    #[test]
    fn what_a_file_has_to_do_with_a_table_is_told_by_what_it_says() {
        let effect = |sql| effect_on(sql, "_prisma_migrations");
        for sql in [
            "",
            "-- CreateTable\nCREATE TABLE a (id int);\n\nalter table a add b int; DROP INDEX i",
            "COMMENT ON TABLE a IS 'b'",
            "CREATE /* once */ UNIQUE INDEX CONCURRENTLY i ON a (b)",
        ] {
            assert_eq!(effect(sql), Effect::None, "{sql}");
        }
        for sql in ["CREATE TABLE a (id int); INSERT INTO a VALUES (1)", "update a set b = f(c);"] {
            assert_eq!(effect(sql), Effect::Looks, "{sql}");
        }
        for sql in [
            "BEGIN; CREATE TABLE a (id int)",
            "create table a (id int); select pg_terminate_backend(pg_backend_pid())",
            "DO $$ BEGIN END $$",
            "update a set b = 1; rollback",
            "WITH a AS (SELECT 1) INSERT INTO b SELECT * FROM a",
            "INSERT INTO a SELECT count(*) FROM _prisma_migrations",
            "CREATE TRIGGER t BEFORE UPDATE ON \"_Prisma_Migrations\" EXECUTE FUNCTION f()",
            "ALTER SCHEMA public RENAME TO elsewhere",
            "DROP /* with all that is in it */ OWNED BY CURRENT_USER",
            "ALTER ROLE CURRENT_USER SET search_path = elsewhere",
            "CREATE TEMP TABLE a (id int)",
            "DROP TABLE U&\"_prisma\\005fmigrations\"",
            "-- here\rrollback; -- there\ncreate table a (id int)",
        ] {
            assert_eq!(effect(sql), Effect::Any, "{sql:?}");
        }
    }

    #[test]
    fn the_failing_statement_is_named_with_its_place() {
        let sql = "-- é\nCREATE TABLE a (id int);\n\n-- the second\n  INSERT INTO b VALUES ('é', nope);\n";
        let failed = |completed, position| {
            failing_statement(sql, completed, position).map(|f| (f.text, f.line, f.column))
        };
        let insert = "INSERT INTO b VALUES ('é', nope)".to_owned();
        assert_eq!(failed(0, None), Some(("CREATE TABLE a (id int)".to_owned(), 2, 1)));
        assert_eq!(failed(1, None), Some((insert.clone(), 5, 3)));
        assert_eq!(failed(2, None), None);
        let nope = sql.char_indices().position(|(at, _)| sql[at..].starts_with("nope")).unwrap();
        assert_eq!(failed(0, Some(nope as u32 + 1)), Some((insert.clone(), 5, 30)));
        assert_eq!(failed(0, Some(10_000)), Some((insert, 6, 1)));
    }

    proptest! {
        #[test]
        fn statements_cover_all_that_is_not_comment_space_or_semicolon(sql in sql_like()) {
            let ranges = statements(&sql);
            let mut at = 0;
            for token in tokenize(&sql) {
                let span = at..at + token.len as usize;
                at = span.end;
                let skipped = matches!(token.kind, TokenKind::Whitespace | TokenKind::LineComment
                    | TokenKind::BlockComment { .. } | TokenKind::Semi | TokenKind::Eof);
                let covered = ranges.iter().any(|range| range.start <= span.start && span.end <= range.end);
                prop_assert!(skipped || covered, "{:?} of {sql:?}", &sql[span]);
            }
            for pair in ranges.windows(2) {
                prop_assert!(pair[0].end < pair[1].start);
            }
        }

        #[test]
        fn no_text_and_no_position_panics(sql in ".{0,200}", completed in 0usize..5, position: Option<u32>) {
            failing_statement(&sql, completed, position);
        }
    }

    fn sql_like() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "select ",
            "create function ",
            "begin ",
            "atomic ",
            "case ",
            "end ",
            ";",
            "'",
            "''",
            "$$",
            "$a$",
            "\"",
            "--",
            "\n",
            "/*",
            "*/",
            "(",
            ")",
            "E'\\'",
            "é",
            "1",
            "x ",
            "U&'",
        ]);
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }
}
