#!/usr/bin/env bash
# demo.sh up|down: Weir at work on a kind cluster of this machine, and the cluster removed again.
# CLUSTER names the cluster (default weir); INSTALL=helm installs with helm instead of kustomize.
set -euo pipefail
cd "$(dirname "$0")/.."
export CLUSTER=${CLUSTER:-weir}

# show COMMAND...: print a command as one would type it, and run it
show() {
  local word
  printf '\n$'
  for word; do
    if [[ $word =~ ^[A-Za-z0-9_./:=@%,-]+$ ]]; then printf ' %s' "$word"; else printf ' %s' "${word@Q}"; fi
  done
  printf '\n'
  "$@"
}

say() { printf '\n== %s\n' "$*"; }

# retry COMMAND...: until it succeeds, for two minutes at most: what is applied needs a moment to be there
retry() {
  local deadline=$((SECONDS + 120))
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || { "$@"; return; }
    sleep 1
  done
}

in_postgres() { kubectl -n demo exec deploy/postgres -- psql -U postgres -XAtqc "$1"; }
client=(kubectl -n demo exec deploy/client --)

# explain: what a person would look at first when the demo did not work
explain() {
  say 'this did not work; what there is, and what it said last:'
  kubectl -n weir-system get pods -o wide
  kubectl -n demo get connectionpools,pods -o wide
  kubectl -n demo get connectionpools -o 'jsonpath={range .items[*].status.conditions[*]}{.type}={.status} {.reason}: {.message}{"\n"}{end}'
  kubectl -n weir-system logs deploy/weir-operator --tail=20
  kubectl -n demo logs -l weir.dev/pool --prefix --tail=10
} >&2

# on_exit: what runs in the background ends with us
on_exit() {
  local status=$?
  # shellcheck disable=SC2046 # numbers
  [ -z "$(jobs -p)" ] || kill $(jobs -p) 2>/dev/null || true
  [ $status = 0 ] || explain || true
}

role_and_database() {
  retry in_postgres 'select 1'
  [ -n "$(in_postgres "select 1 from pg_roles where rolname = 'orders'")" ] || in_postgres "create role orders login password 'orders-password'"
  [ -n "$(in_postgres "select 1 from pg_database where datname = 'orders'")" ] || in_postgres 'create database orders owner orders'
}

with_kustomize() { show kubectl apply -k config/default; }

with_helm() {
  local folder
  folder=$(hack/helm.sh)
  PATH=$folder:$PATH show helm upgrade --install weir config/chart --namespace weir-system --create-namespace
}

install() {
  say "install Weir with ${INSTALL:=kustomize}"
  "with_$INSTALL"
  kubectl -n weir-system rollout status deployment --timeout=180s
  say 'start a PostgreSQL, with a user and a database for the application'
  show kubectl apply -k hack/postgres
  kubectl apply -f hack/demo/client.yaml
  kubectl -n demo rollout status deployment --timeout=180s
  role_and_database
  say 'apply a pool'
  show cat config/samples/connectionpool.yaml
  show kubectl apply -n demo -k config/samples
  show kubectl -n demo wait --for=condition=Ready connectionpool/orders-db --timeout=120s
}

use() {
  local url='postgres://orders@orders-db.demo.svc/orders' limit
  limit=$(kubectl -n demo get connectionpool orders-db -o 'jsonpath={.spec.destinations[0].limits.maxOpen}')
  say 'psql through the pool'
  retry "${client[@]}" psql "$url" -c 'select 1'
  show "${client[@]}" psql "$url" -c 'select current_user, current_database(), version()'
  say 'pgbench through the pool: 40 clients'
  "${client[@]}" pgbench -i -q -s 5 "$url" 2>&1 | tail -n 1
  "${client[@]}" pgbench -n -S -c 40 -j 2 -T 15 "$url" >dist/demo-pgbench.log 2>&1 &
  local bench=$! most=0 now
  while kill -0 $bench 2>/dev/null; do
    now=$(in_postgres "select count(*) from pg_stat_activity where usename = 'orders'")
    [ "$now" -le "$most" ] || most=$now
    sleep 0.5
  done
  wait $bench || { cat dist/demo-pgbench.log; return 1; }
  grep -E 'number of clients|transactions actually|latency average|tps' dist/demo-pgbench.log
  printf 'server connections at most, counted in PostgreSQL: %d; maxOpen: %d\n' "$most" "$limit"
  [ "$most" -le "$limit" ] || { echo 'that is more than maxOpen: a bug in Weir' >&2; return 1; }
}

look() {
  say 'what there is'
  show kubectl -n demo get connectionpools
  show kubectl -n demo get pods -o wide
  cat <<TXT

Try next (after: eval "\$(CLUSTER=$CLUSTER hack/cluster/env.sh)"):
  kubectl -n demo scale connectionpool orders-db --replicas=3
  kubectl -n demo patch connectionpool orders-db --type=json -p '[{"op":"replace","path":"/spec/destinations/0/limits/maxOpen","value":6}]'
  kubectl -n demo get connectionpool orders-db -o yaml
  kubectl -n demo exec -it deploy/client -- psql postgres://orders@orders-db/orders
  kubectl -n demo exec deploy/postgres -- psql -U postgres -c "select usename, application_name, state, count(*) from pg_stat_activity group by 1, 2, 3"
Remove the cluster with: CLUSTER=$CLUSTER make demo-down
TXT
}

case ${1:-} in
up)
  mkdir -p dist
  hack/cluster/up.sh
  eval "$(hack/cluster/env.sh)"
  trap on_exit EXIT
  hack/cluster/load.sh weir postgres
  install
  use
  look
  ;;
down) hack/cluster/down.sh ;;
*) echo "usage: hack/demo.sh up|down" >&2; exit 2 ;;
esac
