#!/usr/bin/env bash
# Shows that a cluster of up.sh serves: nodes, DNS, Service, exec, a PostgreSQL
# that is reached from another pod and outlives the death of its process, and the
# data with it. One line per check; leaves nothing in the cluster.
source "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"

# check WORDS COMMAND...: tries for a minute, since everything here comes about in time.
check() {
  local words=$1 start=$SECONDS said=
  shift
  until said=$("$@" 2>&1); do
    [ $((SECONDS - start)) -lt 60 ] || die "$words: no, after 60 s: $said"
    sleep 0.5
  done
  say "ok    $words ($((SECONDS - start)) s)"
}

demo() { kubectl -n demo "$@"; }
client() { demo exec client -- "$@"; }
nodes_ready() { [ "$(kubectl get nodes --no-headers | awk '$2 == "Ready"' | wc -l)" = 3 ]; }
restarts() { demo get pod -l app=postgres -o 'jsonpath={.items[0].status.containerStatuses[0].restartCount}'; }
restarted() { [ "$(restarts)" -gt "$before" ] && demo wait --for=condition=Ready pod -l app=postgres --timeout=2s; }
kept() { [ "$(client psql -h postgres -U postgres -XAtqc 'select n from kept')" = 41 ]; }

cleanup() { kubectl delete -k "$repository/hack/postgres" --timeout=120s >/dev/null; }

"$repository/hack/cluster/load.sh" postgres
use_cluster
trap cleanup EXIT
check "three nodes are ready" nodes_ready
kubectl apply -k "$repository/hack/postgres" >/dev/null
check "PostgreSQL serves, restricted and without capabilities" demo rollout status deploy/postgres --timeout=2s
demo apply -f - >/dev/null <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  securityContext: {runAsNonRoot: true, runAsUser: 999, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: client
    image: localhost/weir-postgres:15
    imagePullPolicy: IfNotPresent
    command: [sleep, infinity]
    env: [{name: PGPASSWORD, valueFrom: {secretKeyRef: {name: postgres, key: password}}}]
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
YAML
check "a client pod runs" demo wait --for=condition=Ready pod/client --timeout=2s
check "psql through the Service, with SCRAM" client psql -h postgres -U postgres -XAtqc 'create table if not exists kept as select 41 as n'
check "DNS by full name, and pgbench" client pgbench -h postgres.demo.svc.cluster.local -U postgres -i -q postgres
before=$(restarts)
docker exec "$(demo get pod -l app=postgres -o 'jsonpath={.items[0].spec.nodeName}')" pkill -KILL -x postgres
check "PostgreSQL, killed, restarts in its pod" restarted
check "and has its data" kept
