#!/usr/bin/env bash
# docs.sh: checks that what the documents name exists, and that they name what a person may be shown.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
documents=(README.md CONTRIBUTING.md docs/*.md docs/development/*.md)
wrong=0

wrong() {
  echo "documents: $*" >&2
  wrong=1
}

# Each reason of a condition is explained.
while read -r reason; do
  grep -F "\`$reason\`" docs/troubleshoot.md >/dev/null || wrong "docs/troubleshoot.md does not explain the reason $reason"
done < <(sed -nE 's/^\tReason[A-Za-z]+ += "([A-Za-z]+)"$/\1/p' api/v1alpha1/conditions.go | sort -u)

# Each field of a destination's limits is explained, and those that are, exist.
diff <(sed -nE '/^type Limits struct/,/^}/s/.*json:"([A-Za-z]+),.*/\1/p' api/v1alpha1/destination_types.go | sort) \
  <(sed -nE '/^## Limits/,/^## Pool mode/s/^\| `([A-Za-z]+)`.*/\1/p' docs/configure.md | sort -u) >&2 ||
  wrong "docs/configure.md does not have the limits that the API has (<)"

# Each metric that is named exists. The pods' metrics are declared without their prefix.
while read -r metric; do
  metric=${metric%_bucket} # of a histogram
  grep -rE --include='*.go' "\"(weir_pool_)?${metric#weir_pool_}\"" pooler/metrics controllers >/dev/null || wrong "there is no metric $metric"
done < <(grep -ohE '\bweir_(pool|operator)_[a-z_]+[a-z]\b' "${documents[@]}" | sort -u)

# Each link to a file leads somewhere.
for document in "${documents[@]}"; do
  while read -r link; do
    [ -e "$(dirname "$document")/${link%%#*}" ] || wrong "$document: there is no $link"
  done < <(grep -oE '\]\([^)#:][^):]*\)' "$document" | sed -E 's/^\]\((.*)\)$/\1/')
done

exit $wrong
