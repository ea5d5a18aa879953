#!/bin/sh
# Builds a binary that needs no library of the machine it runs on: `target/static/palisade`, linked against glibc's static
# archive (Debian: `libc6-dev`). Arguments go to cargo, for example `--offline`. What it cannot do: packaging/README.md.
#
#   packaging/static.sh
set -eu
cd "$(dirname "$0")/.."

# With a target named, the flag is for the binary alone, not for build scripts and macros, which are loaded at run time.
target="$(rustc -vV | sed -n 's/^host: //p')"
case "$target" in
    *-linux-gnu | *-linux-musl) ;;
    *) echo "a static binary is for Linux, and this is $target" >&2; exit 1 ;;
esac
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static" \
    cargo build --release --locked --bin palisade --target "$target" "$@"

binary="target/$target/release/palisade"
# The loader's name in the file would mean that libraries are wanted.
if readelf --program-headers --wide "$binary" | grep -q 'INTERP'; then
    echo "$binary still asks for a loader, so for libraries" >&2
    exit 1
fi
mkdir -p target/static
cp "$binary" target/static/palisade
echo "target/static/palisade: $(ldd target/static/palisade 2>&1 | sed 's/^[[:space:]]*//')"
