#!/usr/bin/env bash
# versions.sh [VERSION...]: runs the tests of the engine against other versions of PostgreSQL than Debian's: 14 16 17 18 unless told otherwise.
source "$(dirname "${BASH_SOURCE[0]}")/cache.sh"
source "$repository/hack/check.sh"
instead='install it yourself'
versions=("$@")
[ $# -gt 0 ] || versions=(14 16 17 18)

# the packages as package-lock.json has them; their links are made by a script of their own
install() {
  cp "$repository"/hack/versions/*.json "$1/"
  (cd "$1" && quietly npm ci --no-audit --no-fund)
}

check_go
"$repository/hack/postgresql.sh"
command -v npm >/dev/null || packages nodejs npm
programs=$(cached versions "fetch versions of PostgreSQL" "$(cat "$repository"/hack/versions/*.json | digest)" install)
open=$(mktemp -d) # to the user that servers run as
trap 'rm -rf "$open"' EXIT
chmod 755 "$open"
cd "$repository"
for version in "${versions[@]}"; do
  cp -r "$programs/node_modules/postgres-$version/native" "$open/$version"
  chmod -R a+rX "$open/$version"
  export WEIR_POSTGRES=$open/$version/bin
  say "== $("$WEIR_POSTGRES/postgres" --version)"
  go test -count=1 -timeout 30m ./pooler/postgres ./pooler/postgres/difftest ./pooler/postgres/oracle ./pooler/postgres/lookup ./cmd/pooler
done
