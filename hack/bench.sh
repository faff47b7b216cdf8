#!/usr/bin/env bash
# bench.sh: puts Weir's engine beside PgBouncer and PostgreSQL, and prints a table. Arguments go to hack/bench (-help lists them).
# Needs root and two CPUs; nothing else should run.
source "$(dirname "${BASH_SOURCE[0]}")/cache.sh"
source "$repository/hack/check.sh"
instead='install it yourself'
cd "$repository"

check_go
check_root 'count system calls'
hack/postgresql.sh
packages pgbouncer linux-perf util-linux
CGO_ENABLED=0 go build -o bin/ ./hack/bench
exec bin/bench -commit "$(git describe --always --dirty)" "$@"
