//! `offshoot storage`: a file system for the embedded server on which clones share blocks.

use std::path::PathBuf;

use super::{Exit, Stop};
use crate::embedded::volume::{Size, Volume, VolumeError, Wish};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make an XFS image in the data directory and mount it where the embedded PostgreSQL lives (root, Linux)
    Create {
        /// The largest it may grow to; the disk holds only what is used
        #[arg(long, value_name = "SIZE", default_value = "50G")]
        size: Size,
        #[command(flatten)]
        place: Place,
    },
    /// Mount it again, after the machine was started (root)
    Mount(Place),
    /// Say whether there is one, whether it is mounted and what is free; exit code 1 where it is not mounted
    Status(Place),
}

#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// The service's data directory
    #[arg(long, env = "OFFSHOOT_DATA_DIR", default_value = ".offshoot", value_name = "DIR")]
    data_dir: PathBuf,
}

pub(super) fn run(command: &Command) -> Result<Exit, Stop> {
    match command {
        Command::Create { size, place } => bring_about(place, Wish::Create(*size)),
        Command::Mount(place) => bring_about(place, Wish::Mount),
        Command::Status(place) => status(place),
    }
}

fn bring_about(place: &Place, wish: Wish) -> Result<Exit, Stop> {
    let volume = Volume::of(&place.data_dir)?;
    let steps = volume.bring_about(wish).map_err(|error| match error {
        VolumeError::Refused(refusal) => Stop::usage(refusal),
        error => error.into(),
    })?;
    if steps.is_empty() {
        println!("{} is mounted at {} already", volume.image().display(), volume.mount_point().display());
        return Ok(Exit::Done);
    }
    for step in &steps {
        println!("{step}");
    }
    println!("{} is mounted at {}", volume.image().display(), volume.mount_point().display());
    println!("To have it mounted whenever the machine starts, add this line to /etc/fstab:");
    println!("{}", volume.fstab_line());
    Ok(Exit::Done)
}

fn status(place: &Place) -> Result<Exit, Stop> {
    let volume = Volume::of(&place.data_dir)?;
    let standing = volume.standing()?;
    match standing.image {
        Some((size, held)) => {
            println!("image: {}, up to {size}, of which the disk holds {held}", volume.image().display());
        }
        None => println!("image: none; `offshoot storage create --size 50G` makes one"),
    }
    let at = volume.mount_point();
    match standing.free {
        Some(free) => println!("mounted: at {} ({}), {free} free", at.display(), standing.filesystem),
        None if standing.image.is_some() => println!("mounted: no; `offshoot storage mount` mounts it"),
        None => println!("mounted: nothing; the embedded server's data is on {}", standing.filesystem),
    }
    Ok(if standing.free.is_some() { Exit::Done } else { Exit::Failed })
}
