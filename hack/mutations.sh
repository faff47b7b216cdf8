#!/usr/bin/env bash
# mutations.sh: breaks the pool's core one line at a time and demands that a test notices.
#   hack/mutations.sh [WORDS]   only the mutations whose line holds WORDS
# Each line of hack/mutations/pool.txt is applied to a copy, which `go test -overlay` takes for the file. A mutation is
# noticed if a test fails, the proof at each unlock included; one that does not compile or match is a mistake of the list,
# and nothing is learned unless the tests pass without any.
source "$(dirname "${BASH_SOURCE[0]}")/cache.sh"
cd "$repository"
package=pooler/pool
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

# mutate FILE PATTERN REPLACEMENT: writes the mutant and the overlay; fails unless the pattern matches in one line
mutate() {
  local source=$package/$1 mutant=$copy/$1
  [ "$(grep -c -e "${2//\\t/$'\t'}" "$source")" = 1 ] || return 1
  sed -e "s$(printf '\001')$2$(printf '\001')$3$(printf '\001')" "$source" >"$mutant"
  ! cmp -s "$source" "$mutant" || return 1
  printf '{"Replace": {"%s": "%s"}}\n' "$repository/$source" "$mutant" >"$copy/overlay.json"
}

# passes: runs the tests on what the overlay says
passes() {
  timeout 240 go test -overlay "$copy/overlay.json" -tags poolcheck -timeout 120s -failfast "./$package" \
    -rapid.checks=2000 -rapid.nofailfile -rapid.shrinktime=1ms >"$copy/output" 2>&1
}

# how: what in the output of a failed run noticed the mutation
how() { grep -m 1 -oE '^(panic|fatal error): .*|--- FAIL: [^ ]*' "$copy/output" | cut -c 1-100 || echo 'no end'; }

printf '{}\n' >"$copy/overlay.json"
passes || die "the tests fail without a mutation: $(tail -n 5 "$copy/output")"

count=0 missed=0
while IFS=$'\t' read -r file pattern replacement broken; do
  case "$file" in '' | '#'*) continue ;; esac
  [[ -z "${1:-}" || "$file $broken" == *"$1"* ]] || continue
  count=$((count + 1))
  mutate "$file" "$pattern" "$replacement" || die "$file: the pattern does not match in one line: $pattern"
  go build -overlay "$copy/overlay.json" "./$package" 2>"$copy/output" || die "$file does not compile when $broken: $(tail -n 3 "$copy/output")"
  if passes; then
    printf 'MISSED   %-11s %s\n' "$file" "$broken"
    missed=$((missed + 1))
  else
    printf 'noticed  %-11s %s (%s)\n' "$file" "$broken" "$(how)"
  fi
done <hack/mutations/pool.txt
[ "$count" -gt 0 ] || die "no mutation was tried"
echo "$((count - missed)) of $count mutations noticed"
[ "$missed" = 0 ]
