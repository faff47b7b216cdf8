# shellcheck shell=bash
# Sourced by the scripts of images that hold nothing but programs of Go modules:
# of this repository's, or of the one in the folder that $module names.
source "$(dirname "${BASH_SOURCE[0]}")/../cache.sh"
source "$repository/hack/check.sh"

# certificates: where this machine keeps its authorities.
certificates() {
  local file
  for file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
    if [ -s "$file" ]; then
      printf '%s\n' "$file"
      return
    fi
  done
  die "this machine has no file of certificate authorities: install ca-certificates"
}

# static_image NAME TAG PACKAGE...: go's own cache decides what is compiled again,
# and the digest of what comes out decides whether it is a new image.
static_image() {
  local name=$1 tag=$2 binaries=$cache/binaries/$1 tools authorities inputs folder
  shift 2
  check_go
  tools=$("$repository/hack/cluster/programs/build.sh" tools)
  authorities=$(certificates)
  mkdir -p "$binaries"
  step "compile $*" compile "$binaries" "$@"
  inputs=$({ cat "$repository/hack/images/static.sh" "$tools/mkimage" "$authorities" && sha256 "$binaries" "$@"; } | digest)
  folder=$(cached "image-$name" "build the image $tag" "$inputs" pack "$tools/mkimage" "$tag" "$authorities" "$binaries" "$@")
  printf '%s\n' "$folder/image.tar"
}

# -buildvcs=false: a commit that changes no code makes no new image.
compile() {
  local binaries=$1
  shift
  (cd "${module:-$repository}" && CGO_ENABLED=0 GOOS=linux nice -n 5 go build -buildvcs=false -ldflags '-s -w' -o "$binaries/" "$@")
}

sha256() {
  local binaries=$1 package
  shift
  for package; do printf '%s %s\n' "$package" "$(digest <"$binaries/$(basename "$package")")"; done
}

# pack MKIMAGE TAG AUTHORITIES BINARIES PACKAGE... OUT: the first program is the
# entrypoint.
pack() {
  local mkimage=$1 tag=$2 authorities=$3 binaries=$4 out=${*: -1} package files=()
  shift 4
  for package in "${@:1:$#-1}"; do
    files+=("$binaries/$(basename "$package"):/$(basename "$package")")
  done
  "$mkimage" -o "$out/image.tar" -t "$tag" -u 65532:65532 -w /tmp -e "/$(basename "$1")" \
    "${files[@]}" "$authorities:/etc/ssl/certs/ca-certificates.crt"
}
