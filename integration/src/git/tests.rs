use super::*;

fn repository() -> (tempfile::TempDir, GitRepository) {
    let dir = tempfile::tempdir().unwrap();
    let repository = GitRepository::init(dir.path().join("shop.git"), "main").unwrap();
    (dir, repository)
}

fn commit(repository: &GitRepository, git_ref: &str, changes: &[Change]) -> Sha {
    repository.commit(git_ref, Parent::Tip, "Change things", &Author::named("ann"), changes).unwrap()
}

fn paths(repository: &GitRepository, commit: Sha) -> Vec<String> {
    let tree = repository.tree_of(commit).unwrap().unwrap();
    let listing = repository.tree(tree, true).unwrap();
    listing.iter().map(|entry| String::from_utf8(entry.path.clone()).unwrap()).collect()
}

#[test]
fn every_name_and_byte_survives() {
    let (_dir, repository) = repository();
    let odd = [
        "a b.sql",
        "quote\"d.sql",
        "tab\there.sql",
        "new\nline.sql",
        "\u{1}bell\u{7}.sql",
        "naïve/日本語.sql",
        "back\\slash",
    ];
    let bytes: Vec<u8> = (0..=255).collect();
    let changes: Vec<Change> = odd.iter().map(|path| Change::write(*path, &bytes)).collect();
    let sha = commit(&repository, "main", &changes);
    let reopened = GitRepository::open(repository.path()).unwrap();
    for path in odd {
        assert_eq!(reopened.file(sha, path).unwrap().as_deref(), Some(bytes.as_slice()), "{path:?}");
    }
}

#[test]
fn the_git_program_reads_what_was_written() {
    let (_dir, repository) = repository();
    let other = "1234567890123456789012345678901234567890";
    let sha = commit(
        &repository,
        "main",
        &[
            Change::write("prisma/migrations/1/migration.sql", "SELECT 1;"),
            Change::Symlink { path: "link".into(), target: "prisma".into() },
            Change::Submodule { path: "vendor/sub".into(), commit: other.into() },
        ],
    );
    let git = |args: &[&str]| {
        let output = std::process::Command::new("git")
            .arg("--git-dir")
            .arg(repository.path())
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["fsck", "--strict"]);
    assert_eq!(git(&["rev-parse", "HEAD"]).trim(), sha.to_string());
    let listed = git(&["ls-tree", "-r", "HEAD"]);
    assert!(listed.contains("120000 blob") && listed.contains(&format!("160000 commit {other}")), "{listed}");
}

#[test]
fn files_and_directories_are_renamed_and_removed() {
    let (_dir, repository) = repository();
    commit(
        &repository,
        "main",
        &[Change::write("a/1.sql", "1"), Change::write("a/2.sql", "2"), Change::write("b", "b")],
    );
    let renamed = commit(
        &repository,
        "main",
        &[
            Change::write("a/3.sql", "3"),
            Change::Rename { from: "a".into(), to: "c/d".into() },
            Change::remove("b"),
        ],
    );
    assert_eq!(paths(&repository, renamed), ["c", "c/d", "c/d/1.sql", "c/d/2.sql", "c/d/3.sql"]);
    let missing = [Change::Rename { from: "nowhere".into(), to: "x".into() }];
    let refused = repository.commit("main", Parent::Tip, "x", &Author::named("ann"), &missing).unwrap_err();
    assert!(format!("{refused:#}").contains("there is no `nowhere` to rename"), "{refused:#}");
}

#[test]
fn divergence_counts_both_sides() {
    let (_dir, repository) = repository();
    let root = commit(&repository, "main", &[Change::write("a", "1")]);
    repository.set_ref("feature", root).unwrap();
    let one = commit(&repository, "feature", &[Change::write("b", "1")]);
    let two = commit(&repository, "feature", &[Change::write("b", "2")]);
    let main = commit(&repository, "main", &[Change::write("c", "1")]);
    let divergence = repository.divergence(main, two).unwrap();
    assert_eq!(divergence, Divergence { merge_base: Some(root), ahead: vec![one, two], behind: 1 });
    assert_eq!(repository.log(two).unwrap().iter().map(|c| c.sha).collect::<Vec<_>>(), [two, one, root]);
    let stranger = repository.commit("orphan", Parent::None, "Root", &Author::named("bob"), &[]).unwrap();
    assert_eq!(repository.merge_base(main, stranger).unwrap(), None);
}

#[test]
fn merging_squashing_and_rebasing_bring_the_same_files() {
    for method in [MergeMethod::Merge, MergeMethod::Squash, MergeMethod::Rebase] {
        let (_dir, repository) = repository();
        let root = commit(&repository, "main", &[Change::write("a", "1"), Change::write("gone", "1")]);
        repository.set_ref("feature", root).unwrap();
        commit(&repository, "feature", &[Change::write("b", "1"), Change::remove("gone")]);
        let head = commit(&repository, "feature", &[Change::write("b", "2")]);
        let base = commit(&repository, "main", &[Change::write("c", "1")]);
        let merged = repository.merge("main", head, method, "Merge", &Author::named("ann")).unwrap();
        assert_eq!(paths(&repository, merged), ["a", "b", "c"], "{method:?}");
        let (parents, ahead) = match method {
            MergeMethod::Merge => (2, 3),
            MergeMethod::Squash => (1, 1),
            MergeMethod::Rebase => (1, 2),
        };
        assert_eq!(repository.commit_info(merged).unwrap().unwrap().parents.len(), parents, "{method:?}");
        assert_eq!(repository.divergence(base, merged).unwrap().ahead.len(), ahead, "{method:?}");
        assert_eq!(repository.tip("main").unwrap(), Some(merged));
    }
}

#[test]
fn a_conflict_is_refused_and_moves_nothing() {
    let (_dir, repository) = repository();
    let root = commit(&repository, "main", &[Change::write("a", "1")]);
    repository.set_ref("feature", root).unwrap();
    let head = commit(&repository, "feature", &[Change::write("a", "2")]);
    let base = commit(&repository, "main", &[Change::write("a", "3")]);
    let refused =
        repository.merge("main", head, MergeMethod::Merge, "Merge", &Author::named("ann")).unwrap_err();
    assert!(refused.to_string().contains("`a` was changed on both sides"), "{refused}");
    assert_eq!(repository.tip("main").unwrap(), Some(base));
}

#[test]
fn a_fork_has_refs_of_its_own_and_shares_objects() {
    let (dir, repository) = repository();
    let root = commit(&repository, "main", &[Change::write("a", "1")]);
    let fork = repository.fork(dir.path().join("fork.git")).unwrap();
    assert_eq!(fork.tip("main").unwrap(), Some(root));
    let head = commit(&fork, "feature", &[Change::write("b", "1")]);
    // `feature` grew from nothing, so only its own file is there.
    assert_eq!(paths(&repository, head), ["b"]);
    assert_eq!(repository.tip("feature").unwrap(), None);
    fork.delete_ref("feature").unwrap();
    assert_eq!(fork.tip("feature").unwrap(), None);
    assert!(fork.delete_ref("feature").is_err());
}
