#!/usr/bin/env bash
# postgresql.sh: makes sure that PostgreSQL's server programs are on this machine, for the engine tests.
set -euo pipefail
found() { command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
found && exit 0
command -v apt-get >/dev/null || { echo "PostgreSQL's server programs (initdb, postgres) are missing: install them with your package manager" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "PostgreSQL is missing and you are not root: run 'sudo apt-get install postgresql'" >&2; exit 1; }
echo "installing PostgreSQL from the machine's package sources" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# no cluster of its own: the tests make theirs
mkdir -p /etc/postgresql-common/createcluster.d
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/weir.conf
apt-get install -y -qq --no-install-recommends postgresql >/dev/null
found || { echo "PostgreSQL was installed but initdb is not where Debian puts it" >&2; exit 1; }
