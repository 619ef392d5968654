//! The files that a comparison shows, with their patches.

use anyhow::Result;
use serde_json::{Value, json};
use similar::TextDiff;

use super::state::State;
use crate::git::{ChangedPath, EntryKind, Sha};

/// GitHub shows so many files of a comparison,
const MOST_FILES: usize = 300;
/// and patches of so many lines in all; the files behind them come without one.
const MOST_LINES: usize = 20_000;

impl State {
    /// What changed from one commit of a repository to another.
    pub(crate) fn changed_files(&self, repository: u64, from: Sha, to: Sha) -> Result<Vec<Value>> {
        let git = &self.repository(repository).git;
        let mut lines_left = MOST_LINES;
        let mut files = Vec::new();
        for (changed, left) in with_moves(git.changed_paths(from, to)?).into_iter().take(MOST_FILES) {
            let ChangedPath { path, before, after } = &changed;
            let patch = patch(&git.text(*before)?, &git.text(*after)?);
            let marked = |mark: char| {
                let lines = patch.iter().flat_map(|patch| patch.lines());
                lines.filter(|line| line.starts_with(mark)).count()
            };
            let (additions, deletions) = (marked('+'), marked('-'));
            let lines = additions + deletions;
            let shown = patch.filter(|_| lines <= lines_left);
            lines_left -= lines.min(lines_left);
            let contents = format!("{}/contents/{path}?ref={to}", self.repository_url(repository));
            let page = |view: &str| format!("{}/{view}/{to}/{path}", self.page(repository));
            let mut file = json!({
                "sha": after.or(*before).map(|(_, sha)| sha.to_string()),
                "filename": path,
                "status": status(before.map(|(kind, _)| kind), after.map(|(kind, _)| kind)),
                "additions": additions,
                "deletions": deletions,
                "changes": lines,
                "blob_url": page("blob"),
                "raw_url": page("raw"),
                "contents_url": contents,
            });
            if let Some(shown) = shown {
                file["patch"] = shown.into();
            }
            if let Some(left) = left {
                file["status"] = "renamed".into();
                file["previous_filename"] = left.into();
            }
            files.push(file);
        }
        Ok(files)
    }
}

/// What is gone from one path and is new at another is one file that was moved, with the path that it left. GitHub takes files for that as well that
/// are only much the same.
fn with_moves(changed: Vec<ChangedPath>) -> Vec<(ChangedPath, Option<String>)> {
    let (gone, rest): (Vec<_>, Vec<_>) = changed.into_iter().partition(|changed| changed.after.is_none());
    let mut gone: Vec<Option<ChangedPath>> = gone.into_iter().map(Some).collect();
    let mut files: Vec<_> = rest
        .into_iter()
        .map(|changed| {
            let moved = |left: &&mut Option<ChangedPath>| {
                changed.before.is_none() && left.as_ref().is_some_and(|left| left.before == changed.after)
            };
            match gone.iter_mut().find(moved).and_then(Option::take) {
                Some(left) => (ChangedPath { before: left.before, ..changed }, Some(left.path)),
                None => (changed, None),
            }
        })
        .collect();
    files.extend(gone.into_iter().flatten().map(|gone| (gone, None)));
    files.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
    files
}

fn status(was: Option<EntryKind>, is: Option<EntryKind>) -> &'static str {
    let is_file = |kind| matches!(kind, EntryKind::File | EntryKind::Executable);
    match (was, is) {
        (None, _) => "added",
        (Some(_), None) => "removed",
        (Some(was), Some(is)) if was == is || is_file(was) && is_file(is) => "modified",
        (Some(_), Some(_)) => "changed",
    }
}

/// The hunks of a unified diff; none of what is binary, and none where no line differs.
fn patch(before: &[u8], after: &[u8]) -> Option<String> {
    let (before, after) = (std::str::from_utf8(before).ok()?, std::str::from_utf8(after).ok()?);
    if [before, after].iter().any(|text| text.contains('\0')) {
        return None;
    }
    let diff = TextDiff::from_lines(before, after);
    let hunks = diff.unified_diff().to_string();
    // GitHub's patches have no line feed at their end.
    (!hunks.is_empty()).then(|| hunks.strip_suffix('\n').map_or(hunks.clone(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::patch;

    #[test]
    fn patches_look_as_git_s() {
        assert_eq!(patch(b"", b"a\nb\n").unwrap(), "@@ -0,0 +1,2 @@\n+a\n+b");
        assert_eq!(patch(b"", b"a").unwrap(), "@@ -0,0 +1 @@\n+a\n\\ No newline at end of file");
        assert_eq!(patch(b"a\n", b"b\n").unwrap(), "@@ -1 +1 @@\n-a\n+b");
        assert_eq!(patch(b"", b"a\0"), None);
        assert_eq!(patch(b"", b""), None);
    }
}
