//! What has to be done for a volume, and why it may not be. No I/O.

use std::fmt;
use std::path::PathBuf;

use super::size::Size;

/// mkfs.xfs makes no smaller file system.
const SMALLEST: Size = Size(300 << 20);
/// Where files share blocks without our doing.
const SHARING: [&str; 4] = ["xfs", "btrfs", "zfs", "bcachefs"];

/// What an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Create(Size),
    /// The one that is there, after the machine was started.
    Mount,
}

/// What is there.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) data_dir: PathBuf,
    pub(super) root: bool,
    /// Whether mkfs.xfs is installed.
    pub(super) tool: bool,
    pub(super) image: Option<Size>,
    pub(super) place: Place,
    /// On the file system that the data directory is on, and that file system's kind.
    pub(super) free: Size,
    pub(super) filesystem: String,
}

/// `DATA_DIR/embedded`, where the volume is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Free,
    /// Something is in it, which a mount would hide.
    Filled,
    Mounted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    MakeDataDirectory,
    MakeImage(Size),
    Mount,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeDataDirectory => f.write_str("made the data directory"),
            Self::MakeImage(size) => {
                write!(f, "made an image of {size}, of which the disk holds only what is used")
            }
            Self::Mount => f.write_str("mounted it"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("only root can mount a file system; run this with sudo")]
    NotRoot,
    #[error(
        "mkfs.xfs is not installed; install it (Debian and Ubuntu: apt-get install xfsprogs, Fedora: dnf install xfsprogs, Alpine: apk add xfsprogs)"
    )]
    NoTool,
    #[error("{0} is too small: XFS needs {SMALLEST} at least")]
    TooSmall(Size),
    #[error("the image is to hold up to {wanted}, and only {free} are free on the disk of {data_dir}; free some, or ask for less", data_dir = data_dir.display())]
    NoRoom { wanted: Size, free: Size, data_dir: PathBuf },
    #[error("{data_dir} is on {filesystem} already, which shares blocks between files itself; there is nothing to make", data_dir = data_dir.display())]
    NotNeeded { data_dir: PathBuf, filesystem: String },
    #[error(
        "{embedded} holds a server's data already, which the new file system would hide. To move it: stop the service and the embedded \
         server, then\n  mv {embedded} {embedded}.before\n  offshoot storage create …\n  cp -a {embedded}.before/. {embedded}/\n\
         start the service, look whether all is there, and remove {embedded}.before",
        embedded = data_dir.join("embedded").display()
    )]
    Filled { data_dir: PathBuf },
    #[error("another file system is mounted at {embedded}; Offshoot leaves it as it is", embedded = data_dir.join("embedded").display())]
    Foreign { data_dir: PathBuf },
    #[error("there is no image in {data_dir}; make one with `offshoot storage create --size 50G`", data_dir = data_dir.display())]
    NoImage { data_dir: PathBuf },
}

/// The steps from what is there to what is wished; none where it stands.
pub(super) fn plan(facts: &Facts, wish: Wish) -> Result<Vec<Step>, Refusal> {
    let data_dir = || facts.data_dir.clone();
    match (facts.place, facts.image, wish) {
        (Place::Mounted, Some(_), _) => return Ok(Vec::new()),
        (Place::Mounted, None, _) => return Err(Refusal::Foreign { data_dir: data_dir() }),
        (_, None, Wish::Mount) => return Err(Refusal::NoImage { data_dir: data_dir() }),
        _ => {}
    }
    if !facts.root {
        return Err(Refusal::NotRoot);
    }
    if facts.place == Place::Filled {
        return Err(Refusal::Filled { data_dir: data_dir() });
    }
    let (None, Wish::Create(size)) = (facts.image, wish) else { return Ok(vec![Step::Mount]) };
    if SHARING.contains(&facts.filesystem.as_str()) {
        return Err(Refusal::NotNeeded { data_dir: data_dir(), filesystem: facts.filesystem.clone() });
    }
    if !facts.tool {
        return Err(Refusal::NoTool);
    }
    if size < SMALLEST {
        return Err(Refusal::TooSmall(size));
    }
    if size > facts.free {
        return Err(Refusal::NoRoom { wanted: size, free: facts.free, data_dir: data_dir() });
    }
    Ok(vec![Step::MakeDataDirectory, Step::MakeImage(size), Step::Mount])
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn facts() -> Facts {
        Facts {
            data_dir: "/srv/offshoot".into(),
            root: true,
            tool: true,
            image: None,
            place: Place::Free,
            free: Size(100 * GIB),
            filesystem: "ext4".to_owned(),
        }
    }

    fn create(facts: &Facts) -> Result<Vec<Step>, Refusal> {
        plan(facts, Wish::Create(Size(50 * GIB)))
    }

    #[test]
    fn only_what_is_missing_is_done() {
        let all = [Step::MakeDataDirectory, Step::MakeImage(Size(50 * GIB)), Step::Mount];
        assert_eq!(create(&facts()).unwrap(), all);
        let made = Facts { image: Some(Size(50 * GIB)), ..facts() };
        assert_eq!(create(&made), Ok(vec![Step::Mount]));
        assert_eq!(plan(&made, Wish::Mount), Ok(vec![Step::Mount]));
        // Nobody needs to be root to hear that all is well.
        let stands = Facts { place: Place::Mounted, root: false, tool: false, ..made };
        assert_eq!((create(&stands), plan(&stands, Wish::Mount)), (Ok(vec![]), Ok(vec![])));
    }

    #[test]
    fn what_would_lose_data_or_fail_is_refused_beforehand() {
        let refused = |facts: Facts| create(&facts).unwrap_err();
        assert_eq!(refused(Facts { root: false, ..facts() }), Refusal::NotRoot);
        assert_eq!(refused(Facts { tool: false, ..facts() }), Refusal::NoTool);
        assert!(matches!(refused(Facts { free: Size(49 * GIB), ..facts() }), Refusal::NoRoom { .. }));
        assert!(matches!(
            refused(Facts { filesystem: "btrfs".to_owned(), ..facts() }),
            Refusal::NotNeeded { .. }
        ));
        assert!(matches!(refused(Facts { place: Place::Mounted, ..facts() }), Refusal::Foreign { .. }));
        let filled = Facts { place: Place::Filled, ..facts() };
        assert!(matches!(refused(filled.clone()), Refusal::Filled { .. }));
        let hidden = Facts { image: Some(Size(GIB)), ..filled };
        assert!(matches!(plan(&hidden, Wish::Mount), Err(Refusal::Filled { .. })));
        assert!(matches!(plan(&facts(), Wish::Mount), Err(Refusal::NoImage { .. })));
        assert_eq!(plan(&facts(), Wish::Create(Size(299 << 20))), Err(Refusal::TooSmall(Size(299 << 20))));
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        insta::assert_snapshot!(create(&Facts { place: Place::Filled, ..facts() }).unwrap_err(), @"
        /srv/offshoot/embedded holds a server's data already, which the new file system would hide. To move it: stop the service and the embedded server, then
          mv /srv/offshoot/embedded /srv/offshoot/embedded.before
          offshoot storage create …
          cp -a /srv/offshoot/embedded.before/. /srv/offshoot/embedded/
        start the service, look whether all is there, and remove /srv/offshoot/embedded.before
        ");
    }
}
