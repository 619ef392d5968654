use super::*;
use crate::github::Settings;
use crate::samples::{self, Files};

/// The files at a commit, as git has them.
fn files_at(github: &SimulatedGitHub, full_name: &str, sha: Sha) -> Files {
    let git = github.git(full_name).unwrap();
    let tree = git.tree_of(sha).unwrap().unwrap();
    let mut files = Files::default();
    for entry in git.tree(tree, true).unwrap().iter() {
        if let Some(bytes) = git.blob(entry.sha).unwrap() {
            let path = String::from_utf8(entry.path.clone()).unwrap();
            files.apply(&[Change::write(path, bytes)]).unwrap();
        }
    }
    files
}

#[tokio::test]
async fn every_sample_is_played_to_its_end_and_git_holds_what_the_story_says() {
    let dir = tempfile::tempdir().unwrap();
    let github = SimulatedGitHub::start(Settings::new(dir.path())).await.unwrap();
    for sample in samples::all().unwrap() {
        let mut player = Player::begin(&github, &sample).unwrap();
        for moment in sample.moments().unwrap() {
            let played = player.play_next().unwrap().unwrap();
            let place = format!("{} {} {:?}", sample.name, played.pull.slug, played.step.action);
            assert_eq!((played.pull, played.step), (moment.pull, moment.step), "{place}");
            assert_eq!(files_at(&github, &sample.full_name(), played.head_sha), moment.head, "{place}");
        }
        assert!(player.play_next().unwrap().is_none(), "{} goes on", sample.name);
    }
}
