#!/usr/bin/env bash
# A Docker daemon of our own, for machines that have none or one that can pull no
# image: its socket, data and processes are apart from any other's.
#   dockerd.sh start   waits until it answers; it may run already
#   dockerd.sh stop    leaves no process, bridge or mount; the data stays
source "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"

data=$cache/docker

answers() { bounded 10 docker -H "$private_host" version; }

# running PID: whether that process is our daemon. One that is dead but not
# collected has no command line: some sandboxes have nobody who collects it.
running() { { tr '\0' ' ' <"/proc/$1/cmdline" | grep -- "$private_host" >/dev/null; } 2>/dev/null; }

pid() { cat "$private/pid" 2>/dev/null; }

# launch: the daemon must outlive this script, so it gets a session of its own and
# none of our open files.
launch() {
  local options=()
  mkdir -p "$data" "$private"
  running "$(pid)" || rm -f "$private/pid" # of one that was killed: dockerd would refuse to start
  if lacks_sys_resource; then
    install -m 0755 "$repository/hack/cluster/runc-shim.sh" "$data/runc-shim"
    options=(--add-runtime "shim=$data/runc-shim" --default-runtime shim)
  fi
  (
    for fd in /proc/self/fd/*; do
      fd=${fd##*/}
      [ "$fd" -le 2 ] || eval "exec $fd>&-" 2>/dev/null || true
    done
    exec setsid dockerd -H "$private_host" --data-root "$data/data" --exec-root "$private/exec" --pidfile "$private/pid" \
      --bridge none --default-address-pool base=10.201.0.0/16,size=24 "${options[@]}" >"$data/log" 2>&1 </dev/null
  ) &
}

start() {
  if ! answers >/dev/null 2>&1; then
    launch
    for _ in $(seq 150); do
      if answers >/dev/null 2>&1; then return; fi
      sleep 0.2
    done
    die "dockerd did not start: $(tail -n 1 "$data/log")"
  fi
}

# stop: the network goes first, since its bridge and rules outlive the daemon.
stop() {
  local daemon
  daemon=$(pid) || return 0
  if answers >/dev/null 2>&1; then
    docker -H "$private_host" network rm kind >/dev/null 2>&1 || true
  fi
  if running "$daemon"; then
    kill "$daemon"
    for _ in $(seq 150); do
      running "$daemon" || break
      sleep 0.2
    done
    ! running "$daemon" || die "dockerd ($daemon) does not stop: see $data/log"
  fi
  rm -rf "$private"
}

exec {lock}>"$cache/dockerd.lock"
locked "$lock"
case ${1:-} in
start | stop) "$1" ;;
*) die "usage: dockerd.sh start|stop" ;;
esac
