use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::Digest;

use super::*;
use crate::domain::ids::Oid;
use crate::domain::tree::{Change, ChangedFile, EntryKind};
use crate::source::{Source, SourceError};

fn blob_oid(content: &[u8]) -> Oid {
    let hash = sha1::Sha1::new().chain_update(format!("blob {}\0", content.len())).chain_update(content);
    hex::encode(hash.finalize()).parse().unwrap()
}

/// Paths and contents.
type Listed = Vec<(String, Vec<u8>)>;

/// A repository of files, each version of which is one commit; GraphQL and REST both give its blobs.
struct Files {
    blobs: HashMap<String, Vec<u8>>,
    /// By commit.
    trees: HashMap<String, Listed>,
}

impl Files {
    fn new(commits: &[(char, Listed)]) -> Self {
        let trees: HashMap<_, _> =
            commits.iter().map(|(digit, files)| (commit(*digit).to_string(), files.clone())).collect();
        let blobs = trees
            .values()
            .flatten()
            .map(|(_, content)| (blob_oid(content).to_string(), content.clone()))
            .collect();
        Self { blobs, trees }
    }

    fn answer(&self, seen: &Seen) -> Reply {
        if let Some(reply) = as_app(seen) {
            return reply;
        }
        if seen.asked == "POST /graphql" {
            return self.graphql(seen.body["query"].as_str().unwrap());
        }
        let path = seen.asked.strip_prefix("GET /repos/acme/shop/").expect("a path of the repository");
        if path.starts_with("compare/") {
            let (tip, base) = (json!({"sha": commit('b')}), json!({"sha": commit('a')}));
            return ok(json!({"base_commit": tip, "merge_base_commit": base, "behind_by": 3, "ahead_by": 1}));
        }
        if let Some(sha) = path.strip_prefix("git/trees/") {
            let entry = |(path, content): &(String, Vec<u8>)| {
                let (sha, size) = (blob_oid(content), content.len());
                json!({"path": path, "mode": "100644", "type": "blob", "sha": sha, "size": size})
            };
            let entries: Vec<_> = self.trees[sha].iter().map(entry).collect();
            return ok(json!({"sha": sha, "tree": entries, "truncated": false}));
        }
        let content = &self.blobs[path.strip_prefix("git/blobs/").expect("a blob")];
        let encoded: Vec<String> = STANDARD
            .encode(content)
            .as_bytes()
            .chunks(60)
            .map(|line| format!("{}\n", std::str::from_utf8(line).unwrap()))
            .collect();
        ok(json!({"content": encoded.concat(), "encoding": "base64", "size": content.len()}))
    }

    /// Gives text, as GitHub does: none of binary blobs, and without a byte order mark.
    fn graphql(&self, query: &str) -> Reply {
        let asked = (0..).map_while(|number| {
            let at = query.find(&format!("b{number}:object(oid:\""))?;
            let (_, rest) = query[at..].split_once('"')?;
            Some((format!("b{number}"), &rest[..40]))
        });
        let texts = asked.map(|(alias, oid)| {
            let text = std::str::from_utf8(&self.blobs[oid]).ok().filter(|text| !text.contains('\0'));
            (alias, json!({"text": text.map(|text| text.trim_start_matches('\u{feff}'))}))
        });
        ok(json!({"data": {"repository": texts.collect::<HashMap<_, _>>()}}))
    }
}

fn commit(digit: char) -> Oid {
    digit.to_string().repeat(40).parse().unwrap()
}

fn chain(length: usize) -> Listed {
    let migration = |number: usize| {
        let path = format!("prisma/migrations/{number:04}_step/migration.sql");
        (path, format!("CREATE TABLE t{number} (id int);\n").repeat(20).into_bytes())
    };
    let lock = ("prisma/migrations/migration_lock.toml".to_owned(), b"provider = \"postgresql\"\n".to_vec());
    (0..length).map(migration).chain([lock]).collect()
}

async fn read_all(repository: &RepositoryClient, commit: &Oid) -> Vec<(Oid, Bytes)> {
    let tree = repository.tree(commit).await.unwrap();
    let files = tree.entries().iter().filter(|entry| entry.kind == EntryKind::File);
    let wanted: Vec<_> = files.map(|entry| (entry.oid.clone(), entry.size)).collect();
    let blobs = repository.blobs(&wanted).await.unwrap();
    wanted.into_iter().map(|(oid, _)| oid).zip(blobs).collect()
}

#[tokio::test]
async fn a_long_chain_costs_few_requests_and_one_more_migration_hardly_any() {
    let files = Files::new(&[('a', chain(434)), ('c', chain(435))]);
    let fake = Fake::start(move |seen| files.answer(seen)).await;
    let repository = shop(&fake.app());

    let comparison = repository.compare("main", &commit('c')).await.unwrap();
    assert_eq!((comparison.tip, comparison.behind_by), (commit('b'), 3));
    let blobs = read_all(&repository, &comparison.merge_base).await;
    assert_eq!(blobs.len(), 435);
    assert!(blobs.iter().all(|(oid, bytes)| blob_oid(bytes) == *oid));
    let first = fake.seen().len();
    assert!(first <= 15, "{first} requests");

    repository.compare("main", &commit('c')).await.unwrap();
    let tree = repository.tree(&commit('c')).await.unwrap();
    let new = tree.find("prisma/migrations/0434_step/migration.sql").unwrap();
    repository.blobs(&[(new.oid.clone(), new.size)]).await.unwrap();
    let more = fake.seen().len() - first;
    assert!(more <= 4, "{more} requests");
}

#[tokio::test]
async fn what_graphql_cannot_give_byte_by_byte_comes_by_rest() {
    let contents: [&[u8]; 5] = [b"SELECT 1;", b"\xef\xbb\xbfSELECT 2;", b"\xff\xfe\x00", b"caf\xe9", b""];
    let files =
        contents.iter().enumerate().map(|(at, content)| (format!("{at}.sql"), content.to_vec())).collect();
    let files = Files::new(&[('a', files)]);
    let fake = Fake::start(move |seen| files.answer(seen)).await;
    let mut wanted: Vec<_> = contents.iter().map(|content| (blob_oid(content), None)).collect();
    wanted.push(wanted[0].clone());
    let blobs = shop(&fake.with_token()).blobs(&wanted).await.unwrap();
    assert!(blobs.iter().zip(contents.iter().chain([&contents[0]])).all(|(blob, content)| blob == content));
    let rest = fake.seen().iter().filter(|seen| seen.asked.contains("/git/blobs/")).count();
    assert_eq!((fake.count("POST /graphql"), rest), (1, 3));
}

#[tokio::test]
async fn large_files_arrive_whole() {
    let large = b"INSERT INTO t VALUES (1);\n".repeat(400_000);
    assert!(large.len() > 10_000_000);
    let oid = blob_oid(&large);
    let files = Files::new(&[('a', vec![("seed.sql".to_owned(), large.clone())])]);
    let fake = Fake::start(move |seen| files.answer(seen)).await;
    let size = Some(large.len() as u64);
    let blobs = shop(&fake.with_token()).blobs(&[(oid, size)]).await.unwrap();
    assert!(blobs[0] == large);
}

#[tokio::test]
async fn bytes_that_do_not_hash_to_their_id_are_not_taken() {
    let content = json!({"content": STANDARD.encode("something else"), "encoding": "base64"});
    let fake = Fake::start(move |_| ok(content.clone())).await;
    let error = shop(&fake.with_token()).blobs(&[(blob_oid(b"SELECT 1;"), None)]).await.unwrap_err();
    assert!(matches!(&error, SourceError::Unavailable(why) if why.contains("does not hash")), "{error}");
}

#[tokio::test]
async fn a_cut_listing_is_asked_for_in_parts() {
    let sha = |digit: char| commit(digit).to_string();
    let tree = move |seen: &Seen| match (seen.asked.rsplit('/').next().unwrap(), seen.query.as_str()) {
        (root, "recursive=1") if root == sha('a') => ok(json!({"tree": [], "truncated": true})),
        (root, "") if root == sha('a') => ok(json!({"truncated": false, "tree": [
            {"path": "db", "mode": "040000", "sha": sha('d')},
            {"path": "node_modules", "mode": "040000", "sha": sha('e')},
            {"path": ".offshoot.toml", "mode": "100644", "sha": sha('f'), "size": 9},
        ]})),
        (db, "recursive=1") if db == sha('d') => ok(json!({"truncated": false, "tree": [
            {"path": "migrations/migration_lock.toml", "mode": "100644", "sha": sha('1'), "size": 24},
        ]})),
        other => panic!("nobody needs {other:?}"),
    };
    let fake = Fake::start(tree).await;
    let tree = shop(&fake.with_token()).tree(&commit('a')).await.unwrap();
    let paths: Vec<_> = tree.entries().iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, [".offshoot.toml", "db/migrations/migration_lock.toml"]);
    assert_eq!(fake.seen().len(), 3);
}

#[tokio::test]
async fn a_comparison_tells_what_became_of_each_file() {
    let sql = "CREATE TABLE a ();\n";
    let oid = blob_oid(sql.as_bytes());
    let other: Oid = "f".repeat(40).parse().unwrap();
    let fake = Fake::start(move |seen| match as_app(seen) {
        Some(reply) => reply,
        None => ok(json!({
            "base_commit": {"sha": commit('b')}, "merge_base_commit": {"sha": commit('a')}, "behind_by": 0,
            "files": [
                {"filename": "m/1/migration.sql", "status": "added", "sha": blob_oid(sql.as_bytes()), "patch": "@@ -0,0 +1 @@\n+CREATE TABLE a ();"},
                {"filename": "m/2/migration.sql", "status": "added", "sha": "f".repeat(40), "patch": "@@ -0,0 +1 @@\n+CREATE TABLE a ();"},
                {"filename": "seed.sql", "status": "modified", "sha": "f".repeat(40), "patch": "@@ -1 +1 @@\n-a\n+b"},
                {"filename": "docs/3.txt", "status": "renamed", "previous_filename": "m/3/migration.sql", "sha": "f".repeat(40)},
                {"filename": "gone.sql", "status": "removed", "sha": "f".repeat(40)},
                {"filename": "link.sql", "status": "changed", "sha": "f".repeat(40)},
            ]
        })),
    })
    .await;
    let compared = shop(&fake.app()).compare("main", &commit('c')).await.unwrap();
    let changed = |path: &str, change| ChangedFile { path: path.to_owned(), change };
    assert!(compared.shows_all);
    assert_eq!(
        compared.changes,
        [
            changed("m/1/migration.sql", Change::Added(Some((oid, Bytes::from(sql))))),
            // Its bytes are not the blob's.
            changed("m/2/migration.sql", Change::Added(None)),
            changed("seed.sql", Change::Modified(other)),
            changed("m/3/migration.sql", Change::Other),
            changed("docs/3.txt", Change::Added(None)),
            changed("gone.sql", Change::Other),
            changed("link.sql", Change::Other),
        ]
    );
}

#[tokio::test]
async fn refs_of_any_spelling_are_compared() {
    let files = Files::new(&[]);
    let fake = Fake::start(move |seen| files.answer(seen)).await;
    shop(&fake.with_token()).compare("fix/#7 & more?", &commit('c')).await.unwrap();
    let asked = format!("GET /repos/acme/shop/compare/fix%2F%237%20%26%20more%3F...{}", commit('c'));
    assert_eq!(fake.count(&asked), 1, "{:?}", fake.seen());
}

#[tokio::test]
async fn all_pages_of_open_pull_requests_are_read() {
    let url = Arc::new(Mutex::new(String::new()));
    let base = url.clone();
    let pull = |number: i32| {
        let repository = json!({"id": 7, "full_name": "acme/shop", "default_branch": "main"});
        json!({
            "number": number, "state": "open", "title": "A change", "user": {"login": "ada"},
            "updated_at": "2026-01-02T03:04:05Z", "merged_at": null,
            "head": {"ref": "x", "sha": commit('a'), "repo": repository},
            "base": {"ref": "main", "sha": commit('b'), "repo": repository},
        })
    };
    let pages = move |seen: &Seen| {
        if seen.query.ends_with("&page=2") {
            return ok(json!([pull(2)]));
        }
        let next = format!("<{}/repositories/7/pulls?state=open&page=2>; rel=\"next\"", base.lock().unwrap());
        reply(200, &[("link", &next)], json!([pull(1)]))
    };
    let fake = Fake::start(pages).await;
    *url.lock().unwrap() = fake.url.clone();
    let pulls = shop(&fake.with_token()).open_pulls().await.unwrap();
    assert_eq!(pulls.iter().map(|pull| pull.id.to_string()).collect::<Vec<_>>(), ["7#1", "7#2"]);
}
