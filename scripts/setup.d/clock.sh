# shellcheck shell=bash
# libfaketime, with which the chaos suite lets the service's clock jump. Without root there is nothing to install it with:
# those jumps are skipped, and the suite says so.

set_up_clock() {
  if compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null; then
    say "libfaketime is installed"
  elif is_root && have apt-get; then
    debian_packages libfaketime
  else
    say "libfaketime is missing: no clock will jump in the chaos suite"
  fi
}
