#!/usr/bin/env bash
# test.sh: runs the named stages in order and says at the end what ran, how long, and how many tests.
#   hack/test.sh [verify] [lint] [unit] [envtest] [e2e]
# A stage that fails does not keep the others from running; the exit code tells. Results as JSON are in dist/test/.
set -euo pipefail
cd "$(dirname "$0")/.."
tool=(go tool -modfile=hack/tools/go.mod)
out=dist/test
mkdir -p "$out"

# go_test STAGE ARG...: run go test, print what matters, keep every event in $out/STAGE.json
go_test() {
  local stage=$1
  shift
  "${tool[@]}" gotestsum --format pkgname --hide-summary skipped --jsonfile "$out/$stage.json" -- "$@"
}

stage_verify() {
  local before after
  before=$(git status --porcelain -- api config)
  make generate manifests
  after=$(git status --porcelain -- api config)
  if [ "$before" != "$after" ]; then
    git --no-pager diff --stat -- api config
    echo "generated files are stale: run 'make generate manifests' and commit the result"
    return 1
  fi
  if [ -n "$(gofmt -l api controllers pooler cmd hack)" ]; then
    echo "not formatted, run gofmt -w on: $(gofmt -l api controllers pooler cmd hack | tr '\n' ' ')"
    return 1
  fi
  go mod tidy -diff
}

stage_lint() { "${tool[@]}" golangci-lint run; }

stage_unit() {
  hack/postgresql.sh
  local packages
  packages=$(go list ./... | grep -vxFf <(go list $(make envtest-packages)))
  # shellcheck disable=SC2086 # a list of packages
  go_test unit -race -shuffle=on -timeout 15m $packages
  # the pool's invariants, asserted at every unlock
  go_test poolcheck -race -tags poolcheck -timeout 10m ./pooler/pool/...
}

stage_envtest() {
  local packages
  packages=$(make envtest-packages)
  KUBEBUILDER_ASSETS=$(hack/envtest.sh)
  export KUBEBUILDER_ASSETS
  # shellcheck disable=SC2086
  go_test envtest -race -timeout 20m -p 1 $packages -ginkgo.poll-progress-after=60s
}

stage_e2e() { hack/e2e.sh "$out/e2e.json"; }

# passed FILE: how many tests passed and failed, a Ginkgo suite counted by its specs
tally() {
  local file=$1 passed failed specs
  passed=$(grep -c '"Action":"pass".*"Test":' "$file" || true)
  failed=$(grep -c '"Action":"fail".*"Test":' "$file" || true)
  while read -r p f; do
    passed=$((passed + p)) failed=$((failed + f))
  done < <(grep -oE '[0-9]+ Passed[^|]*\| [^|]*[0-9]+ Failed' "$file" | sed -E 's/\\u001b\[[0-9;]*m//g' |
    sed -nE 's/.*\b([0-9]+) Passed.*\b([0-9]+) Failed.*/\1 \2/p')
  echo "$passed $failed"
}

rows=() all_passed=0 all_failed=0 status=0
rm -f "$out"/*.json
for stage in "$@"; do
  echo "== $stage"
  begin=$SECONDS result=ok
  # a subshell of its own shell options: errexit does not hold in a condition
  set +e
  (set -e; "stage_$stage")
  code=$?
  set -e
  [ $code = 0 ] || { result=FAILED; status=1; }
  counted=""
  for file in "$out/$stage.json" $([ "$stage" = unit ] && echo "$out/poolcheck.json"); do
    [ -f "$file" ] || continue
    read -r p f < <(tally "$file")
    all_passed=$((all_passed + p)) all_failed=$((all_failed + f))
    counted="$counted $p passed, $f failed ($(basename "$file" .json))"
  done
  rows+=("$(printf '%-8s %-7s %5d s %s' "$stage" "$result" $((SECONDS - begin)) "$counted")")
done

echo
echo "What ran:"
printf '  %s\n' "${rows[@]}"
[ $status = 0 ] || [ $all_failed -gt 0 ] || all_failed=1 # a stage without tests failed
echo "$all_passed passed, $all_failed failed"
exit $status
