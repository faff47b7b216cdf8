# shellcheck shell=bash
# Sourced by the scripts of the test ground: what a machine must have. Each check
# ends the script with one line that says what is missing and what to do.

# What a person can do instead, where root or apt-get is missing. Scripts that need no cluster say something else.
instead='start a Docker that can pull images'

check_go() {
  local want have programs=$repository/hack/cluster/programs # of our modules the one that asks for the latest Go
  want=$(awk '$1 == "go" {print $2}' "$programs/go.mod")
  command -v go >/dev/null || die "Go is missing: install Go $want or later"
  have=$(cd "$programs" && go env GOVERSION 2>/dev/null | sed 's/^go//') || have=
  [ -n "$have" ] && [ "$(printf '%s\n' "$want" "$have" | sort -V | head -n 1)" = "$want" ] ||
    die "$(go version 2>/dev/null | cut -d' ' -f3) is too old: install Go $want or later"
}

# check_root WHAT
check_root() {
  [ "$(id -u)" = 0 ] || die "root is needed to $1: run this as root, or $instead"
}

# check_compiler: Go's race detector needs a C compiler.
check_compiler() {
  local compiler
  compiler=$(go env CC)
  command -v "${compiler%% *}" >/dev/null || packages gcc libc6-dev
}

# check_disk GIGABYTES WHAT: free space where the cache is.
check_disk() {
  local free
  free=$(($(df -Pk "$cache" | awk 'NR == 2 {print $4}') / 1048576))
  [ "$free" -ge "$1" ] || die "$cache has $free GB free and $2 needs $1: free some, or set WEIR_CACHE to a folder on a larger disk"
}

# packages NAME...: installs what is missing of them, and removes nothing for it.
packages() {
  local name missing=() log=$cache/packages.log
  command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
    die "this machine has no apt-get to install $* with: use Debian 12, or $instead"
  for name; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  check_root "install ${missing[*]}"
  step "install ${missing[*]}" install_packages "${missing[@]}" >"$log" ||
    die "apt-get could not install ${missing[*]}: $(grep -m 1 -E '^(E:|Err)' "$log" || tail -n 1 "$log")"
}

# Without an init system a package must not start its daemon: nobody would stop it.
install_packages() {
  local policy=/usr/sbin/policy-rc.d ours=
  if [ ! -d /run/systemd/system ] && [ ! -e "$policy" ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
  fi
  local status=0
  {
    apt-get update -q &&
      DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends --no-remove -o DPkg::Lock::Timeout=300 "$@"
  } 2>&1 || status=$?
  [ -z "$ours" ] || rm -f "$policy"
  return "$status"
}
