# shellcheck shell=bash
# shellcheck disable=SC2154 # root and tools are set by scripts/setup, which reads this file
# A Docker engine for the tests that want one. One that runs already is used as it is.

set_up_docker() {
  if docker_answers; then
    say "Docker answers"
    return
  fi
  is_root || fail "no Docker engine answers" \
    "start one (sudo systemctl start docker), or run this as root, and see to it that $(id -un) may use it (group docker)"
  install_docker
  start_docker
}

docker_answers() { have docker && docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

install_docker() {
  have dockerd && have docker && have iptables && return
  [[ -r /etc/debian_version ]] ||
    fail "no Docker engine is installed" "install one as your system does, start it, then run this again"
  debian_packages docker.io iptables
}

# An engine started by hand has to do with what the machine's kernel offers, so each attempt asks for less.
start_docker() {
  local attempts=("" "--iptables=false --ip6tables=false" "--iptables=false --ip6tables=false --storage-driver=vfs")
  local log=$tools/dockerd.log options
  : >"$log"
  for options in "${attempts[@]}"; do
    say "starting dockerd${options:+ with $options}"
    # shellcheck disable=SC2086 # the options are words
    setsid dockerd $options </dev/null >>"$log" 2>&1 &
    if wait_for_docker $!; then
      say "Docker answers (log: .tools/dockerd.log)"
      return
    fi
  done
  fail "dockerd does not start: $(tail -n 1 "$log")" "read $log, start an engine by hand, then run this again"
}

# Until the engine answers, or has ended, or half a minute is over.
wait_for_docker() {
  local process=$1 round
  for ((round = 0; round < 150; round++)); do
    docker_answers && return
    kill -0 "$process" 2>/dev/null || return 1
    sleep 0.2
  done
  kill "$process"
  wait "$process" || true
  return 1
}
