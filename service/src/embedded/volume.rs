//! A file system of the embedded server's own, for hosts whose own cannot share blocks between files: an XFS image in the data
//! directory, mounted where the server's data lives.

mod plan;
mod size;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::geteuid;

pub use plan::{Refusal, Step, Wish};
pub use size::{Size, SizeError};

use plan::{Facts, Place};

/// What `mount` is told, by hand and in /etc/fstab.
const OPTIONS: &str = "loop,noatime,nodev,nosuid";
/// What XFS copies at once where a shared block is written to: one page of PostgreSQL's, instead of 128 KiB of which most stays as it was.
const COPIED_AT_ONCE: &str = "cowextsize 8k";

#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("cannot {doing} {path}", path = path.display())]
    File {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{command}` failed: {output}")]
    Command { command: String, output: String },
}

/// The volume of a data directory, made or not.
#[derive(Debug, Clone)]
pub struct Volume {
    data_dir: PathBuf,
}

/// How a volume stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The image's size, and what of it the disk holds.
    pub image: Option<(Size, Size)>,
    /// What is free on the mounted file system; none where it is not mounted.
    pub free: Option<Size>,
    /// The kind of file system that the embedded server's data is on, as the kernel calls it.
    pub filesystem: String,
}

impl Volume {
    /// The volume below a data directory, which need not be there yet.
    pub fn of(data_dir: &Path) -> Result<Self, VolumeError> {
        let absolute = std::path::absolute(data_dir).map_err(file("find", data_dir))?;
        Ok(Self { data_dir: absolute.canonicalize().unwrap_or(absolute) })
    }

    pub fn image(&self) -> PathBuf {
        self.data_dir.join("storage.xfs")
    }

    pub fn mount_point(&self) -> PathBuf {
        self.data_dir.join("embedded")
    }

    /// The line for /etc/fstab that mounts it at every start of the machine.
    pub fn fstab_line(&self) -> String {
        format!("{} {} xfs {OPTIONS} 0 0", fstab_path(&self.image()), fstab_path(&self.mount_point()))
    }

    /// Whether there is an image that nobody mounted: the server's data is in it, and not in the empty directory before it.
    pub fn is_unmounted(&self) -> bool {
        self.image().exists() && !self.is_mounted()
    }

    pub fn standing(&self) -> Result<Standing, VolumeError> {
        let image = match fs::metadata(self.image()) {
            Ok(found) => Some((Size(found.len()), Size(found.blocks() * 512))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(file("look at", &self.image())(source)),
        };
        let free = if self.is_mounted() { Some(free(&self.mount_point())?) } else { None };
        Ok(Standing { image, free, filesystem: filesystem(&self.mount_point()) })
    }

    /// Makes what a wish needs and is not there yet. Says what was done; nothing where all stood.
    pub fn bring_about(&self, wish: Wish) -> Result<Vec<Step>, VolumeError> {
        let steps = plan::plan(&self.facts()?, wish)?;
        for step in &steps {
            self.carry_out(step)?;
        }
        Ok(steps)
    }

    fn facts(&self) -> Result<Facts, VolumeError> {
        let existing = self.data_dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        let embedded = self.mount_point();
        let place = if self.is_mounted() {
            Place::Mounted
        } else if fs::read_dir(&embedded).is_ok_and(|mut entries| entries.next().is_some()) {
            Place::Filled
        } else {
            Place::Free
        };
        Ok(Facts {
            data_dir: self.data_dir.clone(),
            root: geteuid().is_root(),
            tool: on_path("mkfs.xfs"),
            image: fs::metadata(self.image()).ok().map(|found| Size(found.len())),
            place,
            free: free(existing)?,
            filesystem: filesystem(existing),
        })
    }

    fn carry_out(&self, step: &Step) -> Result<(), VolumeError> {
        match step {
            Step::MakeDataDirectory => self.make_data_dir(),
            Step::MakeImage(size) => self.make_image(*size),
            Step::Mount => self.mount(),
        }
    }

    /// Belongs to whoever called `sudo`, who is likely to run the service.
    fn make_data_dir(&self) -> Result<(), VolumeError> {
        fs::create_dir_all(&self.data_dir).map_err(file("make", &self.data_dir))?;
        let id = |name| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
        std::os::unix::fs::chown(&self.data_dir, id("SUDO_UID"), id("SUDO_GID"))
            .map_err(file("give away", &self.data_dir))
    }

    /// Under another name first, so that an image that stands is a whole one. Whoever reads it reads every database in it.
    fn make_image(&self, size: Size) -> Result<(), VolumeError> {
        let making = self.data_dir.join("storage.xfs.new");
        let made = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&making);
        made.and_then(|image| image.set_len(size.0)).map_err(file("make", &making))?;
        run("mkfs.xfs", &["-q".into(), "-f".into(), "-m".into(), "reflink=1".into(), making.clone().into()])?;
        fs::rename(&making, self.image()).map_err(file("move into place", &making))
    }

    /// Mounts it and gives its root to whom the data directory belongs: the service writes there.
    fn mount(&self) -> Result<(), VolumeError> {
        let place = self.mount_point();
        fs::create_dir_all(&place).map_err(file("make", &place))?;
        let arguments = ["-t".into(), "xfs".into(), "-o".into(), OPTIONS.into()];
        run("mount", &[&arguments[..], &[self.image().into(), place.clone().into()]].concat())?;
        // What is made in it from now on inherits this. Some distributions have the tool in a package of its own; without it more disk is used.
        if on_path("xfs_io") {
            run("xfs_io", &["-c".into(), COPIED_AT_ONCE.into(), place.clone().into()])?;
        }
        let owner = fs::metadata(&self.data_dir).map_err(file("look at", &self.data_dir))?;
        std::os::unix::fs::chown(&place, Some(owner.uid()), Some(owner.gid()))
            .map_err(file("give away", &place))
    }

    fn is_mounted(&self) -> bool {
        mounts().is_some_and(|table| mounted_at(&table, &self.mount_point()).is_some())
    }
}

/// The kind of file system that a path is on, as the kernel calls it: `ext4`.
pub fn filesystem(path: &Path) -> String {
    let existing = path.ancestors().find_map(|path| path.canonicalize().ok());
    let found = mounts().zip(existing).and_then(|(table, path)| {
        path.ancestors().find_map(|step| mounted_at(&table, step).map(str::to_owned))
    });
    found.unwrap_or_else(|| "an unknown file system".to_owned())
}

/// The kernel's table of what is mounted where.
fn mounts() -> Option<String> {
    fs::read_to_string("/proc/self/mounts").ok()
}

/// The kind of the file system that is mounted at just this path; of several the last, which hides the others.
fn mounted_at<'t>(table: &'t str, path: &Path) -> Option<&'t str> {
    let path = fstab_path(path);
    table.lines().rev().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        (words.next()? == path).then(|| words.next())?
    })
}

/// A path as mount tables write it.
fn fstab_path(path: &Path) -> String {
    let text = path.display().to_string();
    text.replace('\\', "\\134").replace(' ', "\\040").replace('\t', "\\011").replace('\n', "\\012")
}

fn free(path: &Path) -> Result<Size, VolumeError> {
    let found = nix::sys::statvfs::statvfs(path).map_err(|error| file("look at", path)(error.into()))?;
    Ok(Size(found.blocks_available() * found.fragment_size()))
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

fn run(program: &str, arguments: &[OsString]) -> Result<(), VolumeError> {
    let failed = |output: String| {
        let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
        VolumeError::Command { command: format!("{program} {}", words.join(" ")), output }
    };
    let output = Command::new(program).args(arguments).output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> VolumeError {
    let path = path.to_owned();
    move |source| VolumeError::File { doing, path, source }
}

#[cfg(test)]
mod tests;
