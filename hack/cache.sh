# shellcheck shell=bash
# Sourced by the scripts of the test ground: where built things are kept, and how
# one learns that they still fit. A thing's folder carries the digest of
# everything it was made from, so a changed input is another folder, and no
# script has to decide whether something "should still be good".
set -euo pipefail
shopt -s inherit_errexit # a failure inside $(...) ends the script too

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${WEIR_CACHE:-${HOME:-/root}/.cache/weir}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

say() { printf '%s\n' "$*" >&2; }
die() { printf 'weir: %s\n' "$*" >&2; exit 1; }

# step WORDS COMMAND...: runs it and says how long it took.
step() {
  local words=$1 start=$SECONDS
  shift
  say "== $words"
  "$@" # no "||" here: it would switch errexit off inside
  local status=$?
  [ "$status" = 0 ] || return "$status"
  say "   $((SECONDS - start)) s"
}

# quietly COMMAND...: what it says is shown only if it fails.
quietly() {
  local said
  said=$("$@" 2>&1) || { say "$said"; return 1; }
}

# digest: a short name for what comes on standard input.
digest() {
  { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; } | cut -c1-16
}

# bounded SECONDS COMMAND...: runs it, for no longer than that where the machine
# can say so (macOS has no timeout).
bounded() {
  if command -v timeout >/dev/null; then timeout "$@"; else "${@:2}"; fi
}

# cached NAME WORDS DIGEST BUILDER...: prints the folder that "BUILDER... FOLDER"
# filled, now or earlier. Of a name the two latest are kept: two branches can
# take turns. What a builder left when it failed is thrown away by the next one.
cached() {
  local name=$1 words=$2 folder=$cache/$1-$3 lock
  shift 3
  if [ ! -d "$folder" ]; then
    exec {lock}>"$cache/$name.lock"
    locked "$lock"
    if [ ! -d "$folder" ]; then # nobody built it while we waited
      rm -rf "$cache/$name"-????????????????.new
      mkdir "$folder.new"
      step "$words" "$@" "$folder.new" >&2
      mv "$folder.new" "$folder"
    fi
    exec {lock}>&-
  fi
  touch "$folder"
  forget "$name"
  printf '%s\n' "$folder"
}

locked() { if command -v flock >/dev/null; then flock "$1"; fi; }

forget() {
  # a digest has 16 letters, so this matches no other name's folders
  # shellcheck disable=SC2012
  ls -dt "$cache/$1"-???????????????? | sed 1,2d | while read -r old; do rm -rf "$old"; done
}

# published NAME PROBE...: whether NAME can be had ready-made. The probe is tried
# once and its answer remembered. WEIR_OFFLINE=1 says no without asking,
# WEIR_OFFLINE=0 asks again.
published() {
  local answer=$cache/published/$1
  [ "${WEIR_OFFLINE:-}" != 1 ] || return 1
  if [ ! -s "$answer" ] || [ "${WEIR_OFFLINE:-}" = 0 ]; then
    mkdir -p "$cache/published"
    if "${@:2}" >/dev/null 2>&1; then echo yes >"$answer"; else echo no >"$answer"; fi
    say "== is a published $1 within reach? $(cat "$answer") (remembered; WEIR_OFFLINE=0 asks again)"
  fi
  [ "$(cat "$answer")" = yes ]
}
