# shellcheck shell=bash
# shellcheck disable=SC2154 # root and tools are set by scripts/setup, which reads this file
# The npm packages of integration/node, exactly as its lock file names them.

set_up_node_tools() {
  local folder=$root/integration/node
  local stamp=$folder/node_modules/.offshoot-lock
  if [[ ! -f $folder/package-lock.json ]]; then
    say "integration/node has no package-lock.json: nothing to install"
    return
  fi
  # The stamp is a copy of the lock file it was installed from.
  if cmp -s "$folder/package-lock.json" "$stamp"; then
    say "the npm packages of integration/node are installed"
    return
  fi
  have npm || debian_packages nodejs npm
  say "installing the npm packages of integration/node"
  (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error </dev/null >"$tools/npm.log" 2>&1) ||
    fail "npm ci failed in integration/node (its output is in $tools/npm.log)" \
      "read that file; npm has to reach a registry and needs Node 20 or newer"
  cp "$folder/package-lock.json" "$stamp"
}
