//! Offshoot's own hints, for the errors that the server leaves without one.

use crate::postgres::TOO_LARGE;

/// What to do about an error, by its SQLSTATE and what it was about.
pub(super) fn hint(sqlstate: &str, text: &str, message: &str) -> Option<&'static str> {
    if sqlstate == "42601" && text.starts_with('\u{feff}') {
        return Some(
            "The file begins with a UTF-8 byte order mark, which PostgreSQL does not skip: save it without one.",
        );
    }
    Some(match sqlstate {
        "23502" if message.contains("contains null values") => {
            "The table already has rows. Add the column with a DEFAULT, or add it nullable, fill it, and set NOT NULL afterwards."
        }
        "23502" => "A value is missing for a column that is NOT NULL.",
        "23503" => {
            "Rows refer to others that do not exist. Mend or remove them in the migration before it adds the constraint."
        }
        "23505" => {
            "Rows that already exist hold the same value. Remove the duplicates in the migration before it makes the values unique."
        }
        "23514" => {
            "Rows that already exist break the constraint. Mend them first, or add it NOT VALID and validate it later."
        }
        "22001" => "A value is longer than its column. Shorten the values first, or widen the column.",
        "22P02" | "42804" => "The values cannot be read as that type. Say how to convert them with USING.",
        "25001" => {
            "A file with several statements is one transaction. Put this statement alone into a migration of its own."
        }
        "25P02" => "An earlier statement of this transaction failed; the file's own BEGIN hides which one.",
        "2BP01" => {
            "Other objects depend on it. Drop or change those first, or say CASCADE if they are to go too."
        }
        "42P01" => {
            "No table or view of that name is there at this point of the chain: is it made by a later migration, or in another schema?"
        }
        "42703" => {
            "No column of that name is there at this point of the chain. Names in double quotes are case-sensitive."
        }
        "42704" => {
            "It is not there at this point of the chain. A type may need an extension that `.offshoot.toml` can ask for."
        }
        "42P07" | "42710" => {
            "An earlier migration, or the base, already made it. Rename this one, or drop it from this migration."
        }
        "42701" => "The table already has this column: an earlier migration, or the base, added it.",
        "42P06" => "The schema already exists. CREATE SCHEMA IF NOT EXISTS accepts that.",
        "42501" => {
            "A branch's role owns its database's content and nothing else: no superuser, no other roles, no server files. \
             Extensions that need more are created beforehand from the operator's allow-list."
        }
        "54000" if message == TOO_LARGE => {
            "A notice, the text of an error and a value that is selected are each sent whole. Let the file print less."
        }
        "55P04" => {
            "A new enum value cannot be used in the transaction that adds it. Use it in the next migration."
        }
        "55P03" => "Another session holds a lock on it. A process that uses the branch may be in the way.",
        "53100" => "The branch outgrew what it may take, and the server's disk with it. Load less.",
        "53400" => "The statement filled the branch's share of temporary disk space.",
        "57014" => {
            "The statement took longer than a branch allows. Do the work in smaller steps, or ask the operator for a longer limit."
        }
        "57P01" => {
            "Its session was ended while it ran: by the file itself, by an operator, or because the branch outgrew its limits."
        }
        "0A000" if message.contains("extension") => {
            "The server does not have this extension. The operator can install it and put it on the allow-list."
        }
        "58P01" => {
            "The server does not have this file. An extension must be installed on the branch server by the operator."
        }
        "08P01" => "The file holds a zero byte. Is it saved as UTF-16? Save it as UTF-8.",
        _ => return None,
    })
}

/// Why a migration that ran could not be written down: Prisma uses the same session, and fails there too.
pub(super) fn recording_hint(sqlstate: &str) -> &'static str {
    match sqlstate {
        "42P01" | "3F000" => {
            "The migration changes the session's search_path (pg_dump writes such a line) or drops _prisma_migrations, and \
             `prisma migrate deploy` would fail here as well. Remove the line, or use SET LOCAL."
        }
        "42501" => {
            "The migration leaves the session with another role, and `prisma migrate deploy` would fail here as well. \
             Use SET LOCAL ROLE, or RESET ROLE at its end."
        }
        "25P02" => {
            "The migration leaves a failed transaction open: its own BEGIN needs a COMMIT that is reached."
        }
        _ => "`prisma migrate deploy` uses the same session for its bookkeeping and would fail here as well.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_errors_have_a_way_out() {
        let codes = [
            "22001", "22P02", "23502", "23503", "23505", "23514", "25001", "25P02", "2BP01", "42501",
            "42701", "42703", "42704", "42804", "42P01", "42P06", "42P07", "42710", "53400", "55P03",
            "55P04", "57014", "57P01", "58P01", "08P01",
        ];
        for code in codes {
            assert!(hint(code, "", "").is_some_and(|hint| hint.ends_with(['.', '?'])), "{code}");
        }
        assert_eq!(hint("XX000", "", ""), None);
        assert!(hint("54000", "", TOO_LARGE).is_some());
        assert!(hint("42601", "\u{feff}select", "").is_some_and(|hint| hint.contains("byte order mark")));
        assert_eq!(hint("42601", "selec", ""), None);
    }
}
