#!/bin/sh
# Makes a fresh cluster on the first start and becomes its server. It stands in for the entry point of the official
# PostgreSQL image where that cannot be pulled, so it takes the same POSTGRES_PASSWORD for the user `postgres`.
set -eu

data=/var/lib/postgresql/data

if [ ! -f "$data/PG_VERSION" ]; then
  umask 077
  printf '%s\n' "${POSTGRES_PASSWORD:-postgres}" >/tmp/password
  # No fsync: nothing here has to survive the machine. A killed server still recovers, which tests rely on.
  initdb --pgdata="$data" --username=postgres --pwfile=/tmp/password \
    --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-sync
  : >/tmp/password
  echo 'host all all all scram-sha-256' >>"$data/pg_hba.conf"
fi

unset POSTGRES_PASSWORD
exec postgres -D "$data" -c listen_addresses='*' -c max_connections=300 -c unix_socket_directories=/tmp -c fsync=off "$@"
