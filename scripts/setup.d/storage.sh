# shellcheck shell=bash
# mkfs.xfs, for the test that gives the embedded server a file system of its own. Only root can mount one, so
# for anyone else there is nothing to set up: the test says that it is skipped.

set_up_storage() {
  if ! is_root; then
    say "only root can mount a file system: the test of offshoot storage will be skipped"
  elif have mkfs.xfs; then
    say "mkfs.xfs is installed"
  elif have apt-get; then
    debian_packages xfsprogs
  else
    say "mkfs.xfs is missing: the test of offshoot storage will be skipped"
  fi
}
