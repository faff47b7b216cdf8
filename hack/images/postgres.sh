#!/usr/bin/env bash
# Builds the PostgreSQL image, localhost/weir-postgres:15, and prints its archive.
# Where the published image can be had it is that one under our name; otherwise
# it is made of Debian's packages: server, psql, pgbench, a shell, and no more.
# As user 999 it needs no capability, and no root anywhere.
source "$(dirname "${BASH_SOURCE[0]}")/../cache.sh"
source "$repository/hack/check.sh"
source "$repository/hack/debian.sh"

version=15
image=localhost/weir-postgres:$version
here=$repository/hack/images

answers() { bounded 10 docker info && bounded 30 docker manifest inspect "postgres:$version"; }

take_published() {
  docker pull -q "postgres:$version"
  docker tag "postgres:$version" "$image"
  docker save -o "$1/image.tar" "$image"
}

build() {
  local mkimage=$1 out=$2 root=$2/root files=$2/files pg=/usr/lib/postgresql/$version
  debian extract "$root" "postgresql-$version" "postgresql-client-$version" busybox-static tzdata libc-bin
  rm -rf "$root$pg"/lib/{bitcode,pgxs,llvmjit*} # compiling queries at run time costs 120 MB of compiler
  mkdir -p "$files$pg" "$files/usr/share/postgresql" "$files/usr/lib/locale" "$files/etc" "$files/bin"
  # shellcheck disable=SC2046 # program and library names have no spaces
  pick "$root" "$files" $(cd "$root" && find ".$pg/bin" ".$pg/lib" -type f | sed 's/^\.//') /bin/busybox
  cp -a "$root/usr/share/postgresql/$version" "$files/usr/share/postgresql/"
  cp -a "$root/usr/share/zoneinfo" "$files/usr/share/"
  cp -a "$root/usr/lib/locale/C.utf8" "$files/usr/lib/locale/"
  local applet
  for applet in $(chroot "$root" /bin/busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "$files/bin/$applet"
  done
  printf 'root:x:0:0::/:/bin/sh\npostgres:x:999:999::/var/lib/postgresql:/bin/sh\n' >"$files/etc/passwd"
  printf 'root:x:0:\npostgres:x:999:\n' >"$files/etc/group"
  install -D -m 0755 "$here/postgres/entrypoint.sh" "$files/usr/local/bin/docker-entrypoint.sh"
  "$mkimage" -o "$out/image.tar" -t "$image" -u 999:999 -stop SIGINT -e /usr/local/bin/docker-entrypoint.sh \
    -env "PATH=$pg/bin:/usr/local/bin:/usr/bin:/bin" -env LANG=C.UTF-8 -env PGDATA=/var/lib/postgresql/data/pgdata \
    -w /tmp -w /var/run/postgresql -w /var/lib/postgresql -w /var/lib/postgresql/data "$files:/"
  rm -rf "$root" "$files"
}

if published postgres answers; then
  folder=$(cached image-postgres "fetch the image postgres:$version" "$(echo "$version" | digest)" take_published)
else
  packages mmdebstrap
  check_root "unpack Debian's packages"
  tools=$("$repository/hack/cluster/programs/build.sh" tools)
  inputs=$({ cat "$here/postgres.sh" "$here/postgres/entrypoint.sh" "$repository/hack/debian.sh" "$tools/mkimage" && debian_release; } | digest)
  folder=$(cached image-postgres "build the image $image" "$inputs" build "$tools/mkimage")
fi
printf '%s\n' "$folder/image.tar"
