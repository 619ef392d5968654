use std::process::Command;

use tempfile::TempDir;

use super::*;

/// A repository made by the git program itself.
struct Repository {
    directory: TempDir,
}

impl Repository {
    fn new() -> Self {
        let repository = Self { directory: tempfile::tempdir().unwrap() };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"])
            .args(arguments)
            .current_dir(self.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .expect("git is installed");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self, files: &[(&str, &str)]) -> Oid {
        for (path, content) in files {
            let path = self.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "a step"]);
        self.git(&["rev-parse", "HEAD"]).parse().unwrap()
    }

    fn open(&self) -> LocalGit {
        LocalGit::open(self.path()).unwrap()
    }
}

#[tokio::test]
async fn a_head_is_compared_with_its_base() {
    let repository = Repository::new();
    let fork_point = repository.commit(&[("a.sql", "1")]);
    repository.git(&["checkout", "--quiet", "-b", "feature/tags"]);
    let head = repository.commit(&[("b.sql", "2")]);
    repository.git(&["checkout", "--quiet", "main"]);
    repository.commit(&[("c.sql", "3")]);
    // A merge brings two commits to the base: its own and the one that it merges.
    repository.git(&["checkout", "--quiet", "-b", "other"]);
    repository.commit(&[("d.sql", "4")]);
    repository.git(&["checkout", "--quiet", "main"]);
    repository.git(&["merge", "--quiet", "--no-ff", "--no-edit", "other"]);

    let git = repository.open();
    let comparison = git.compare("main", &head).await.unwrap();
    let tip: Oid = repository.git(&["rev-parse", "main"]).parse().unwrap();
    assert_eq!(
        comparison,
        Comparison {
            tip,
            merge_base: fork_point.clone(),
            behind_by: 3,
            changes: Vec::new(),
            shows_all: false
        }
    );
    assert_eq!(repository.git(&["rev-list", "--count", "feature/tags..main"]), "3");

    let upside_down = git.compare("feature/tags", &fork_point).await.unwrap();
    assert_eq!(
        upside_down,
        Comparison { tip: head, merge_base: fork_point, behind_by: 1, changes: Vec::new(), shows_all: false }
    );
}

#[tokio::test]
async fn histories_without_a_common_commit_are_refused() {
    let repository = Repository::new();
    let first = repository.commit(&[("a.sql", "1")]);
    repository.git(&["checkout", "--quiet", "--orphan", "island"]);
    repository.commit(&[("b.sql", "2")]);
    let error = repository.open().compare("island", &first).await.unwrap_err();
    assert!(error.to_string().contains("no commit in common"), "{error}");
}

#[tokio::test]
async fn what_matters_of_a_tree_is_read_with_sizes_and_bytes() {
    let repository = Repository::new();
    let commit = repository.commit(&[
        ("db/migrations/migration_lock.toml", "provider = \"postgresql\"\n"),
        ("db/migrations/1_init/migration.sql", "SELECT 1;\r\n"),
        ("node_modules/pkg/migrations/migration_lock.toml", "no"),
        ("README.md", "hello"),
    ]);
    std::fs::write(repository.path().join("uncommitted.sql"), "SELECT 2;").unwrap();
    let git = repository.open();
    let tree = git.tree(&commit).await.unwrap();
    let paths: Vec<_> = tree.entries().iter().map(|entry| (entry.path.as_str(), entry.size)).collect();
    let expected = [
        ("db/migrations/1_init", None),
        ("db/migrations/1_init/migration.sql", Some(11)),
        ("db/migrations/migration_lock.toml", Some(24)),
    ];
    assert_eq!(paths, expected);
    let wanted: Vec<_> =
        tree.entries()[1..].iter().rev().map(|entry| (entry.oid.clone(), entry.size)).collect();
    let blobs = git.blobs(&wanted).await.unwrap();
    assert_eq!(blobs, ["provider = \"postgresql\"\n", "SELECT 1;\r\n"]);
    let absent: Oid = "1".repeat(40).parse().unwrap();
    assert!(matches!(git.blobs(&[(absent.clone(), None)]).await, Err(SourceError::Missing(_))));
    assert!(matches!(git.tree(&absent).await, Err(SourceError::Missing(_))));
}

#[tokio::test]
async fn revisions_are_what_git_takes_for_them() {
    let repository = Repository::new();
    let first = repository.commit(&[("a.sql", "1")]);
    repository.git(&["tag", "--annotate", "--message", "one", "v1"]);
    repository.git(&["update-ref", "refs/remotes/origin/release/2", "HEAD"]);
    let second = repository.commit(&[("b.sql", "2")]);
    let git = repository.open();
    let before = ["v1", "HEAD~1", "main^", "origin/release/2", "release/2", first.short(), first.as_str()];
    for revision in before {
        assert_eq!(git.resolve(revision).await.unwrap(), first, "{revision}");
    }
    assert_eq!(git.resolve("main").await.unwrap(), second);
    let error = git.resolve("mian").await.unwrap_err().to_string();
    assert!(error.starts_with("the commit \"mian\" (there are main, "), "{error}");
}

#[tokio::test]
async fn any_place_in_a_repository_will_do() {
    let repository = Repository::new();
    let commit = repository.commit(&[("deep/er/a.sql", "1")]);
    let elsewhere = tempfile::tempdir().unwrap();
    let place = |name: &str| elsewhere.path().join(name);
    let (worktree, bare) = (place("worktree"), place("bare.git"));
    repository.git(&["worktree", "add", "--quiet", "-b", "beside", worktree.to_str().unwrap()]);
    repository.git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    for path in [repository.path().join("deep/er"), worktree, bare] {
        let git = LocalGit::open(&path).unwrap();
        assert_eq!(git.resolve("HEAD").await.unwrap(), commit, "{}", path.display());
        assert_eq!(git.tree(&commit).await.unwrap().entries().len(), 1);
    }
    let error = LocalGit::open(elsewhere.path()).unwrap_err().to_string();
    assert!(error.contains("in no git repository"), "{error}");
}

#[test]
fn a_repository_is_named_by_its_origin() {
    let repository = Repository::new();
    let directory =
        repository.path().file_name().unwrap().to_str().unwrap().replace(|c: char| !c.is_ascii(), "-");
    assert_eq!(repository.open().name().to_string(), format!("local/{directory}"));
    repository.git(&["remote", "add", "origin", "git@github.com:acme/shop.git"]);
    assert_eq!(repository.open().name().to_string(), "acme/shop");

    let name = |url: &str| name_in_url(url).map(|name| name.to_string());
    assert_eq!(name("https://github.com/acme/shop.js/").as_deref(), Some("acme/shop.js"));
    assert_eq!(name("ssh://git@host:22/acme/shop.git").as_deref(), Some("acme/shop"));
    assert_eq!(name("shop"), None);
    assert_eq!(name_of_directory(Path::new("/srv/my shop.git")).to_string(), "local/my-shop");
    assert_eq!(name_of_directory(Path::new("/")).to_string(), "local/repository");
}

#[test]
fn the_nearest_names_are_suggested() {
    let names = ["main", "origin/main", "fix/login", "develop"].map(str::to_owned).to_vec();
    assert_eq!(similar("feature/logni", names)[0], "fix/login");
    assert_eq!((distance("mian", "main"), distance("", "abc"), distance("abc", "abc")), (2, 3, 0));
}
