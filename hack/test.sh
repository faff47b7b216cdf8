#!/usr/bin/env bash
# test.sh: runs the named stages in order and says at the end what ran, how long, and how many tests.
#   hack/test.sh [verify] [lint] [unit] [envtest] [drivers] [e2e]
# A stage that fails does not keep the others from running; the exit code tells. Results as JSON are in dist/test/.
source "$(dirname "${BASH_SOURCE[0]}")/cache.sh"
source "$repository/hack/check.sh"
instead='install it yourself'
cd "$repository"
tool=(go tool -modfile=hack/tools/go.mod)
out=dist/test

# go_test NAME ARG...: run go test, print what matters, keep every event in $out/NAME.json
go_test() {
  local name=$1
  shift
  "${tool[@]}" gotestsum --format pkgname --hide-summary skipped --jsonfile "$out/$name.json" -- "$@"
}

# module_test NAME FOLDER: the same for a module of its own
module_test() {
  "${tool[@]}" gotestsum --format pkgname --hide-summary skipped --jsonfile "$out/$1.json" --raw-command -- \
    go test -C "$2" -json ./...
}

# generated: a digest of everything that `make generate manifests` may write
generated() { find api config -type f -print0 | sort -z | xargs -0 cat | digest; }

stage_verify() {
  local before unformatted
  before=$(generated)
  make generate manifests
  if [ "$(generated)" != "$before" ]; then
    git --no-pager diff --stat -- api config
    die "generated files were stale: they are written anew, commit them (make generate manifests)"
  fi
  unformatted=$("$(go env GOROOT)/bin/gofmt" -l api cmd controllers hack pooler)
  # shellcheck disable=SC2086 # a list of files
  [ -z "$unformatted" ] || die "not formatted, run gofmt -w on:" $unformatted
  go mod tidy -diff
  hack/docs.sh
}

stage_lint() { "${tool[@]}" golangci-lint run --allow-parallel-runners; }

stage_unit() {
  local packages
  check_compiler
  hack/postgresql.sh
  packages=$(go list ./... | grep -vxFf <(go list $(make envtest-packages)))
  # shellcheck disable=SC2086 # a list of packages
  go_test unit -race -shuffle=on -timeout 15m $packages
  # the pool's invariants, asserted at every unlock
  go_test poolcheck -race -tags poolcheck -timeout 10m ./pooler/pool/...
  module_test helm hack/helm
  module_test monitoring hack/monitoring
  module_test kubestate hack/kubestate
  module_test bench-pool hack/bench-pool
}

stage_envtest() {
  local packages
  check_compiler
  packages=$(make envtest-packages)
  KUBEBUILDER_ASSETS=$(hack/envtest.sh)
  export KUBEBUILDER_ASSETS
  # shellcheck disable=SC2086
  go_test envtest -race -timeout 20m -p 1 $packages -ginkgo.poll-progress-after=60s
}

stage_drivers() { WEIR_RESULTS=$repository/$out hack/drivers.sh; }

stage_e2e() { hack/e2e.sh "$out"; }

# results STAGE: the files that a stage leaves
results() {
  case $1 in
  unit) echo "$out/unit.json" "$out/poolcheck.json" "$out/helm.json" "$out/monitoring.json" "$out/kubestate.json" "$out/bench-pool.json" ;;
  envtest | drivers) echo "$out/$1.json" ;;
  e2e) echo "$out/e2e-kustomize.json" "$out/e2e-helm.json" ;;
  esac
}

rows=() all_passed=0 all_failed=0 all_skipped=0 status=0

# run STAGE: runs it and adds a row to what is said at the end
run() {
  local stage=$1 begin=$SECONDS result=ok code file counted="" passed failed skipped
  echo "== $stage"
  # a subshell of its own shell options: errexit does not hold in a condition
  set +e
  (set -e; "stage_$stage")
  code=$?
  set -e
  [ $code = 0 ] || result=FAILED
  for file in $(results "$stage"); do
    passed=0 failed=0 skipped=0
    [ ! -f "$file" ] || read -r passed failed skipped < <(awk -f hack/tally.awk "$file")
    # a stage that tested nothing must not look as if it had
    [ $((passed + failed)) -gt 0 ] || result=FAILED
    all_passed=$((all_passed + passed)) all_failed=$((all_failed + failed)) all_skipped=$((all_skipped + skipped))
    counted+=" $(basename "$file" .json): $passed passed, $failed failed, $skipped skipped;"
  done
  [ $result = ok ] || status=1
  rows+=("$(printf '%-8s %-7s %5d s %s' "$stage" "$result" $((SECONDS - begin)) "${counted%;}")")
}

[ $# -gt 0 ] || die "usage: hack/test.sh verify|lint|unit|envtest|drivers|e2e..."
for stage; do
  declare -F "stage_$stage" >/dev/null || die "there is no stage $stage: verify, lint, unit, envtest, drivers and e2e are those that can be run"
done
check_go
mkdir -p "$out"
rm -f "$out"/*.json
for stage; do run "$stage"; done

echo
echo "What ran:"
printf '  %s\n' "${rows[@]}"
# a stage that failed without a test, such as lint, is a failure, too
[ $status = 0 ] || [ $all_failed -gt 0 ] || all_failed=1
echo "$all_passed passed, $all_failed failed, $all_skipped skipped"
exit $status
