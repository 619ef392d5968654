//! Names on the branch server that people see: of a branch's database and its roles.

use sha2::{Digest, Sha256};

use super::ids::{DatabaseLabel, RepositoryName};

/// PostgreSQL cuts identifiers at this many bytes (`NAMEDATALEN` - 1), silently.
pub const IDENTIFIER_LIMIT: usize = 63;

/// Room left for the suffix of a branch's second role.
const READER_SUFFIX: &str = "_ro";

/// The name of a branch's database and of its login role: `acme_shop_pr_42`, `acme_shop_pr_42_reports` for another database than `main`.
///
/// Different repositories can come to the same name (`a-b/c`, `a/b-c`); the store then asks again with `distinct`, which adds a
/// hash of what the name was made from. A name that is too long is cut, and gets the hash too.
pub fn branch_database(
    repository: &RepositoryName,
    number: i32,
    label: &DatabaseLabel,
    distinct: bool,
) -> String {
    let mut name = format!("{}_{}_pr_{number}", repository.owner(), repository.name());
    if *label != DatabaseLabel::main() {
        name = format!("{name}_{label}");
    }
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    let starts_badly = name.starts_with(|c: char| c.is_ascii_digit()) || name.starts_with("pg_");
    let name = if starts_badly { format!("r{name}") } else { name };
    let limit = IDENTIFIER_LIMIT - READER_SUFFIX.len();
    if name.len() <= limit && !distinct {
        return name;
    }
    let source = format!("{repository}#{number}/{label}").to_ascii_lowercase();
    let hash = &hex::encode(Sha256::digest(source))[..8];
    let kept = name.len().min(limit - 1 - hash.len());
    format!("{}_{hash}", &name[..kept])
}

/// The role that may read a branch's database and write nothing.
pub fn reader(database: &str) -> String {
    format!("{database}{READER_SUFFIX}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(repository: &str, number: i32, label: &str, distinct: bool) -> String {
        branch_database(&repository.parse().unwrap(), number, &label.parse().unwrap(), distinct)
    }

    #[test]
    fn names_are_what_people_expect() {
        assert_eq!(name("acme/shop", 42, "main", false), "acme_shop_pr_42");
        assert_eq!(name("Acme-Inc/shop.js", 7, "reports", false), "acme_inc_shop_js_pr_7_reports");
        assert_eq!(name("3m/tape", 1, "main", false), "r3m_tape_pr_1");
        assert_eq!(reader("acme_shop_pr_42"), "acme_shop_pr_42_ro");
    }

    #[test]
    fn names_that_would_meet_can_be_told_apart() {
        assert_eq!(name("a-b/c", 1, "main", false), name("a/b-c", 1, "main", false));
        assert_ne!(name("a-b/c", 1, "main", true), name("a/b-c", 1, "main", true));
    }

    proptest! {
        #[test]
        fn every_name_is_a_plain_identifier_that_fits(
            owner in "[A-Za-z0-9._-]{1,100}", repo in "[A-Za-z0-9._-]{1,100}", number in 1..i32::MAX, distinct: bool
        ) {
            prop_assume!(RepositoryName::new(&owner, &repo).is_ok());
            let repository = RepositoryName::new(&owner, &repo).unwrap();
            let name = branch_database(&repository, number, &DatabaseLabel::main(), distinct);
            prop_assert!(reader(&name).len() <= IDENTIFIER_LIMIT);
            prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
            prop_assert!(!name.starts_with(|c: char| c.is_ascii_digit()));
        }
    }
}
