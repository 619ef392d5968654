use super::*;

const TABLE: &str = "\
/dev/vda / ext4 rw,relatime 0 0
/dev/loop1 /srv/off\\040shoot/embedded ext4 rw 0 0
/dev/loop0 /srv/off\\040shoot/embedded xfs rw 0 0
";

#[test]
fn a_mount_is_found_by_its_path() {
    assert_eq!(mounted_at(TABLE, Path::new("/srv/off shoot/embedded")), Some("xfs"));
    assert_eq!(mounted_at(TABLE, Path::new("/")), Some("ext4"));
    assert_eq!(mounted_at(TABLE, Path::new("/srv")), None);
    assert_ne!(filesystem(Path::new("/not/there")), "an unknown file system");
}

#[test]
fn the_line_for_fstab_has_whole_paths() {
    let volume = Volume::of(Path::new("/srv/off shoot")).unwrap();
    assert_eq!(
        volume.fstab_line(),
        "/srv/off\\040shoot/storage.xfs /srv/off\\040shoot/embedded xfs loop,noatime,nodev,nosuid 0 0"
    );
}
