# shellcheck shell=bash
# Sourced by the scripts that make images: files out of Debian's packages, from
# the package sources that this machine uses itself.

# debian_release: the release whose packages are taken: the machine's own.
debian_release() { (. /etc/os-release && printf '%s\n' "${VERSION_CODENAME:-}"); }

# debian_sources: the files in which this machine names its sources for the
# release. Third parties' sources stay out: they need not be reachable.
debian_sources() {
  apt-get indextargets --format '$(RELEASE) $(SOURCESENTRY)' 'Created-By: Packages' |
    awk -v release="$1" '$1 == release || index($1, release "-") == 1 {sub(/:[0-9]+$/, "", $2); print $2}' | sort -u
}

# debian VARIANT OUT PACKAGE...: fills OUT (a folder, or a .tar) with the packages
# and what they depend on. VARIANT is mmdebstrap's: minbase installs them, extract
# only unpacks.
debian() {
  local variant=$1 out=$2 release sources
  shift 2
  release=$(debian_release)
  sources=$(debian_sources "$release")
  [ -n "$sources" ] || die "apt has no package source for ${release:-this system}: add Debian's to its sources"
  # shellcheck disable=SC2086 # one file name per word
  mmdebstrap --quiet --variant="$variant" --include="$(IFS=, && printf '%s' "$*")" \
    --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$release" "$out" $sources ||
    die "the packages $* of $release could not be had: see the lines above"
}

# pick ROOT OUT PATH...: copies programs or libraries from an unpacked root, with
# the libraries they are linked to.
pick() {
  local root=$1 out=$2 loader file
  shift 2
  for loader in "$root"/lib{64,}/ld-linux*.so.* ''; do [ ! -e "$loader" ] || break; done
  [ -n "$loader" ] || die "$root has no dynamic loader"
  for file; do
    printf '%s\n' "$file"
    chroot "$root" "${loader#"$root"}" --list "$file" 2>/dev/null | grep -o '/[^ ]*' || true # static ones have none
  done | sort -u | while read -r file; do
    install -D "$root$file" "$out$file"
  done
}
