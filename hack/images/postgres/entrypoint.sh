#!/bin/sh
# PostgreSQL for demos and tests. It understands what the published postgres
# image understands, as far as it is needed here, so that either may be used:
#   PGDATA                 the data folder; made on the first start
#   POSTGRES_PASSWORD      the superuser's, required on the first start
#   POSTGRES_USER          the superuser's name (default postgres)
#   POSTGRES_DB            a database to create (default: the user's name)
#   POSTGRES_INITDB_ARGS   more arguments for initdb
# Arguments that begin with "-" go to postgres: ["-c", "max_connections=50"].
set -eu

case ${1:-} in
'' | -*) set -- postgres "$@" ;;
esac
[ "$1" = postgres ] || exec "$@"

# Everything happens beside PGDATA and is moved there at the end: a start that
# is killed half-way is done again.
create() {
  [ -n "${POSTGRES_PASSWORD:-}" ] || { echo 'set POSTGRES_PASSWORD: it becomes the superuser'\''s password' >&2; exit 1; }
  new=$PGDATA.new user=${POSTGRES_USER:-postgres}
  rm -rf "$new" "$PGDATA"
  (umask 077 && printf '%s\n' "$POSTGRES_PASSWORD" >"$new.password")
  # shellcheck disable=SC2086 # arguments, split on purpose
  initdb -D "$new" --username="$user" --pwfile="$new.password" \
    --auth-local=trust --auth-host=scram-sha-256 --no-sync ${POSTGRES_INITDB_ARGS:-}
  rm -f "$new.password"
  echo 'host all all all scram-sha-256' >>"$new/pg_hba.conf"
  echo "listen_addresses = '*'" >>"$new/postgresql.conf"
  database=${POSTGRES_DB:-$user}
  [ "$database" = postgres ] ||
    printf 'CREATE DATABASE "%s"\n' "$database" | postgres --single -D "$new" postgres >/dev/null
  mv "$new" "$PGDATA"
}

[ -s "$PGDATA/PG_VERSION" ] || create
unset POSTGRES_PASSWORD
exec "$@"
