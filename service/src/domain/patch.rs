//! What a patch tells of a file: all of it, where the patch adds the file.

/// The whole file that a unified diff adds; none where the diff is not of that kind. The caller checks it against the file's hash: what
/// shows a diff may have cut it, or have read it in another encoding.
pub fn added_file(patch: &str) -> Option<Vec<u8>> {
    let (hunk, body) = patch.split_once('\n')?;
    if !hunk.starts_with("@@ -0,0 +1") {
        return None;
    }
    let mut file = Vec::with_capacity(body.len());
    for line in body.split('\n') {
        match line.as_bytes() {
            [b'+', line @ ..] => {
                file.extend_from_slice(line);
                file.push(b'\n');
            }
            // "No newline at end of file", in whatever language.
            [b'\\', ..] => drop(file.pop()),
            _ => return None,
        }
    }
    Some(file)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As git, and GitHub, show a file that is added.
    fn shown(file: &str) -> String {
        let lines: Vec<&str> = file.split_inclusive('\n').collect();
        let count = if lines.len() == 1 { String::new() } else { format!(",{}", lines.len()) };
        let mut patch = format!("@@ -0,0 +1{count} @@");
        for line in lines {
            patch += "\n+";
            patch += line.strip_suffix('\n').unwrap_or(line);
        }
        if !file.ends_with('\n') {
            patch += "\n\\ No newline at end of file";
        }
        patch
    }

    #[test]
    fn only_a_patch_that_adds_a_whole_file_is_one() {
        let whole = "@@ -0,0 +1,2 @@\n+ALTER TABLE a\n+  ADD b int;\n\\ No newline at end of file";
        assert_eq!(added_file(whole).unwrap(), b"ALTER TABLE a\n  ADD b int;");
        assert_eq!(added_file("@@ -0,0 +1 @@\n+").unwrap(), b"\n");
        for other in
            ["", "@@ -0,0 +1 @@", "@@ -1 +1 @@\n-a\n+b", "@@ -0,0 +1 @@\n+a\n context", "Binary files differ"]
        {
            assert_eq!(added_file(other), None, "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(file in "[a;+\\\\\\-@é \r\n]{1,40}") {
            prop_assert_eq!(added_file(&shown(&file)), Some(file.into_bytes()));
        }
    }
}
