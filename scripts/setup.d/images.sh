# shellcheck shell=bash
# shellcheck disable=SC2154 # root and tools are set by scripts/setup, which reads this file
# PostgreSQL images for the tests. The official one is used where it is at hand; elsewhere an image is put
# together from .tools/postgresql and this machine's own files, so that no registry of images is needed.

set_up_images() {
  docker_answers || fail "Docker does not answer" "run scripts/setup docker first"
  local major
  for major in "${@:-18}"; do
    make_postgres_image "$major"
  done
}

make_postgres_image() {
  local major=$1
  local name=offshoot-test/postgres:$major recipe
  # The label says what the image was made from, so that a change of the recipe makes it anew.
  recipe=$(cat "$root"/scripts/setup.d/{images,postgres}.sh "$root"/integration/images/* | sha256sum | cut -c1-12)
  if [[ $(docker image inspect --format '{{index .Config.Labels "offshoot.recipe"}}' "$name" 2>/dev/null) == "$recipe" ]]; then
    say "the image $name is there"
    return
  fi
  set_up_postgres "$major"
  say "making the image $name"
  local work
  work=$(mktemp -d "$tools/.image.XXXXXX")
  mkdir "$work/tree" "$work/context"
  fill_image_tree "$work/tree" "$major"
  tar -cf "$work/context/rootfs.tar" --owner=0 --group=0 -C "$work/tree" .
  # The classic builder needs no plug-in and pulls nothing.
  DOCKER_BUILDKIT=0 docker build --tag "$name" --label "offshoot.recipe=$recipe" --build-arg "MAJOR=$major" \
    --file "$root/integration/images/postgres.Dockerfile" "$work/context" >"$tools/docker-build.log" 2>&1 ||
    fail "docker build could not make $name: $(tail -n 1 "$tools/docker-build.log")" \
      "read $tools/docker-build.log and the engine's own log, then run this again"
  rm -rf "$work"
}

# The root file system: PostgreSQL, the few programs that the entry script and a Dockerfile's RUN lines call, the
# libraries of all of them, time zones, one locale, certificates.
fill_image_tree() {
  local tree=$1 major=$2
  local home=$tools/postgresql/$major
  # The official image has its PostgreSQL there too.
  local destination=$tree/usr/lib/postgresql/$major
  local programs=(sh cat chmod chown cp id ls mkdir rm test)
  mkdir -p "$tree"/{bin,lib,lib64,etc/ssl/certs,proc,sys,dev,usr/local/bin,usr/lib/locale,usr/share,var/lib/postgresql,tmp}
  chmod 1777 "$tree/tmp" "$tree/var/lib/postgresql"
  cp "$root/integration/images/postgres-entry.sh" "$tree/entry.sh"
  chmod 755 "$tree/entry.sh"

  mkdir -p "$destination"
  cp -a "$home/bin" "$home/lib" "$home/share" "$destination/"
  local program
  for program in "${programs[@]}"; do
    cp -L "$(type -P "$program")" "$tree/bin/$program"
  done
  copy_libraries "$tree" "$home" "${programs[@]}"

  cp -a /usr/share/zoneinfo "$tree/usr/share/"
  [[ ! -d /usr/lib/locale/C.utf8 ]] || cp -a /usr/lib/locale/C.utf8 "$tree/usr/lib/locale/"
  [[ ! -f /etc/ssl/certs/ca-certificates.crt ]] || cp -L /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/"
  printf '%s\n' 'root:x:0:0::/:/bin/sh' 'postgres:x:999:999::/var/lib/postgresql:/bin/sh' >"$tree/etc/passwd"
  printf '%s\n' 'root:x:0:' 'postgres:x:999:' >"$tree/etc/group"
}

# Every library that ldd names for these programs, at the path where the loader will look for it. The extensions in
# another language (PL/Python and its like) stay without theirs: no test uses them.
copy_libraries() {
  local tree=$1 home=$2 library
  shift 2
  local programs=("$home"/bin/postgres "$home"/bin/initdb "$home"/bin/psql "$home"/bin/pg_dump "$home"/bin/pg_isready "$home"/lib/*.so)
  local program
  for program in "$@"; do programs+=("$(type -P "$program")"); done
  ldd "${programs[@]}" 2>/dev/null | grep -oE '/[^ :]+\.so[^ :]*' | sort -u | while read -r library; do
    [[ $library != "$home"/* && $library != *libpython* ]] || continue
    mkdir -p "$tree/$(dirname "$library")"
    cp -L "$library" "$tree/$library"
  done
}
