//! How the branch server makes clones, what that costs there, and what would be faster.

use crate::embedded::volume::filesystem;
use crate::engine::{CloneMethod, CloneMethods, Extent};

/// An empty database, and one worth talking about.
const SMALL: i64 = 10 << 20;
const LARGE: i64 = 1 << 30;
const FIRST_WITH_STRATEGIES: i32 = 150_000;
const FIRST_THAT_CLONES: i32 = 180_000;

/// What is known of a server beside its measurements.
pub(super) struct Host<'h> {
    pub(super) version_num: i32,
    /// The embedded server's data directory; none where the server is someone else's.
    pub(super) embedded: Option<&'h std::path::Path>,
}

/// In use for small and large templates, with the figures of all methods and the way to faster ones.
pub(super) fn describe(methods: &CloneMethods, host: &Host<'_>) -> String {
    let use_of = |bytes| {
        let extent = Extent::of_bytes(bytes);
        let method = methods.choose(extent);
        let cost =
            methods.cost(method).map_or_else(String::new, |cost| format!(", {:.0} ms", cost.of(extent)));
        format!("{method}{cost}")
    };
    let mut text = format!("10 MB by {}; 1 GB by {}", use_of(SMALL), use_of(LARGE));
    if let Some(bytes) = methods.turning_point() {
        text += &format!(" (the change is at about {} MB)", bytes >> 20);
    }
    for method in methods.methods() {
        if let Some(cost) = methods.cost(method) {
            text += &format!(
                "\n     {method}: {:.0} ms + {:.2} ms for each MB + {:.2} ms for each file",
                cost.fixed_ms,
                cost.ms_per_byte * f64::from(1 << 20),
                cost.ms_per_file
            );
        }
    }
    if let Some(advice) = advice(methods, host) {
        text += &format!("\n     faster: {advice}");
    }
    text
}

/// What would make clones of large templates faster, where something would.
fn advice(methods: &CloneMethods, host: &Host<'_>) -> Option<String> {
    let major = host.version_num / 10_000;
    let versions = if host.version_num < FIRST_WITH_STRATEGIES {
        Some(format!(
            "PostgreSQL {major} only copies files; 15 copies small databases faster, and 18 can share blocks on XFS, Btrfs and ZFS"
        ))
    } else if host.version_num < FIRST_THAT_CLONES {
        Some(format!("PostgreSQL {major} cannot clone files; 18 can, on XFS, Btrfs and ZFS"))
    } else if !methods.methods().any(|method| method == CloneMethod::CloneFiles) {
        Some("this build of PostgreSQL, or its file system, cannot clone files".to_owned())
    } else {
        None
    };
    if versions.is_some() || methods.shares_blocks() != Some(false) {
        return versions;
    }
    Some(match host.embedded {
        Some(data_dir) => format!(
            "the data directory is on {}, where a clone is a copy; `offshoot storage create --size 50G` gives it a file system that shares blocks",
            filesystem(&data_dir.join("embedded"))
        ),
        None => "the server's file system does not share blocks; XFS (made with reflink=1), Btrfs and ZFS do"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn measured(costs: &[(CloneMethod, f64, f64)]) -> CloneMethods {
        let mut methods = CloneMethods::new(&costs.iter().map(|cost| cost.0).collect::<Vec<_>>());
        for &(method, fixed_ms, ms_per_mib) in costs {
            for mib in [8, 1024] {
                let took = Duration::from_secs_f64((fixed_ms + ms_per_mib * f64::from(mib)) / 1e3);
                methods.record(method, Extent::of_bytes(i64::from(mib) << 20), took);
            }
        }
        methods
    }

    #[test]
    fn it_says_what_is_used_what_it_costs_and_what_would_be_faster() {
        use CloneMethod::{CloneFiles, CopyFiles, WalLog};
        let theirs = |version_num| Host { version_num, embedded: None };
        let xfs = measured(&[(WalLog, 15.0, 2.4), (CopyFiles, 40.0, 0.9), (CloneFiles, 43.0, 0.01)]);
        insta::assert_snapshot!(describe(&xfs, &theirs(180_006)), @"
        10 MB by WAL_LOG, 39 ms; 1 GB by FILE_COPY with file_copy_method = clone, 53 ms (the change is at about 12 MB)
             WAL_LOG: 15 ms + 2.40 ms for each MB + 0.00 ms for each file
             FILE_COPY: 40 ms + 0.90 ms for each MB + 0.00 ms for each file
             FILE_COPY with file_copy_method = clone: 43 ms + 0.01 ms for each MB + 0.00 ms for each file
        ");
        let ext4 = measured(&[(WalLog, 15.0, 2.4), (CopyFiles, 40.0, 0.9), (CloneFiles, 43.0, 0.9)]);
        insta::assert_snapshot!(describe(&ext4, &theirs(180_006)), @"
        10 MB by WAL_LOG, 39 ms; 1 GB by FILE_COPY, 962 ms (the change is at about 20 MB)
             WAL_LOG: 15 ms + 2.40 ms for each MB + 0.00 ms for each file
             FILE_COPY: 40 ms + 0.90 ms for each MB + 0.00 ms for each file
             FILE_COPY with file_copy_method = clone: 43 ms + 0.90 ms for each MB + 0.00 ms for each file
             faster: the server's file system does not share blocks; XFS (made with reflink=1), Btrfs and ZFS do
        ");
        let own = Host { version_num: 180_006, embedded: Some(std::path::Path::new("/nowhere")) };
        assert!(advice(&ext4, &own).unwrap().contains("`offshoot storage create --size 50G`"));
        let seventeen = measured(&[(WalLog, 15.0, 2.4), (CopyFiles, 40.0, 0.9)]);
        insta::assert_snapshot!(advice(&seventeen, &theirs(170_011)).unwrap(), @"PostgreSQL 17 cannot clone files; 18 can, on XFS, Btrfs and ZFS");
        let fourteen = measured(&[(CopyFiles, 40.0, 0.9)]);
        insta::assert_snapshot!(advice(&fourteen, &theirs(140_010)).unwrap(), @"PostgreSQL 14 only copies files; 15 copies small databases faster, and 18 can share blocks on XFS, Btrfs and ZFS");
    }
}
