#!/usr/bin/env bash
# postgresql.sh: makes sure that PostgreSQL's server programs and PgBouncer are on this machine, for the engine tests.
source "$(dirname "${BASH_SOURCE[0]}")/cache.sh"
source "$repository/hack/check.sh"
instead='install it yourself'

found() { compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; } # where the tests look, too

[ -x /usr/sbin/pgbouncer ] || command -v pgbouncer >/dev/null || packages pgbouncer

# The package makes a cluster of its own and starts it, unless it is told not to: the tests make theirs.
! found || exit 0
setting=/etc/postgresql-common/createcluster.d/weir.conf
if [ "$(id -u)" = 0 ]; then
  trap 'rm -f "$setting"' EXIT
  mkdir -p "$(dirname "$setting")"
  echo 'create_main_cluster = false' >"$setting"
fi
packages postgresql
found || die "PostgreSQL was installed, but initdb is not where Debian puts it"
