#!/bin/sh
# Makes the file system of the container: Python, Switchgear, the libraries they load, and nothing else. No shell, no package
# manager, no program that could be run but Python.
#
#     deploy/rootfs.sh DEST        as root, on Debian 12 with python3 and python3-pip or python3-venv
#
# deploy/Containerfile runs it; so does a test, which then lives in what it made.
set -eu
dest=$1
here=$(cd "$(dirname "$0")/.." && pwd)
python=$(readlink -f /usr/bin/python3)
version=$(basename "$python" | sed 's/python//')
packages=$dest/usr/local/lib/python$version/dist-packages
mkdir -p "$dest/usr/bin" "$dest/usr/lib" "$packages" "$dest/etc/ssl/certs" "$dest/data" "$dest/run/kek" "$dest/tmp" "$dest/proc" "$dest/dev"

# The packages, by hash, from wheels; the program itself last.
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
"$python" -m venv "$build/venv"
"$build/venv/bin/pip" install -q --disable-pip-version-check --require-hashes --no-deps --only-binary :all: --no-compile \
  --target "$packages" -r "$here/requirements/run.txt"
mkdir "$build/source"
cp -r "$here/pyproject.toml" "$here/README.md" "$here/LICENSE" "$here/THIRD_PARTY.md" "$here/src" "$build/source/"
PYTHONPATH=$packages "$build/venv/bin/pip" install -q --disable-pip-version-check --no-deps --no-build-isolation --no-compile \
  --upgrade --target "$packages" "$build/source"
rm -rf "$packages/bin" "$packages/flit_core" "$packages"/flit_core-*

# The interpreter and the standard library, without what only developers use.
cp "$python" "$dest/usr/bin/"
ln -s "$(basename "$python")" "$dest/usr/bin/python3"
cp -r "/usr/lib/python$version" "$dest/usr/lib/"
(cd "$dest/usr/lib/python$version" && rm -rf test tests idlelib tkinter turtledemo ensurepip lib2to3 pydoc_data distutils venv config-*)
find "$dest" -name __pycache__ -prune -exec rm -rf {} +
"$python" -m compileall -q -j 0 -s "$dest" "$dest/usr/lib/python$version" "$packages"

# What these load.
find "$dest/usr/lib" "$dest/usr/local" "$dest/usr/bin" -type f \( -name '*.so*' -o -path '*/bin/*' \) -exec ldd {} \; 2>/dev/null |
  sed -n -e 's/.*=> \(\/[^ ]*\) .*/\1/p' -e 's/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' | sort -u |
  while read -r library; do
    case $library in "$dest"/*) continue ;; esac
    mkdir -p "$dest$(dirname "$library")"
    cp -L "$library" "$dest$library"
  done
cp /etc/ssl/certs/ca-certificates.crt "$dest/etc/ssl/certs/" 2>/dev/null || true
mkdir -p "$dest/usr/lib/ssl" && ln -s /etc/ssl/certs "$dest/usr/lib/ssl/certs"
[ -d /usr/share/zoneinfo ] && mkdir -p "$dest/usr/share" && cp -rL /usr/share/zoneinfo "$dest/usr/share/"
printf 'switchgear:x:10001:10001::/data:/nonexistent\n' > "$dest/etc/passwd"
printf 'switchgear:x:10001:\n' > "$dest/etc/group"
printf 'hosts: files dns\n' > "$dest/etc/nsswitch.conf"
chown 10001:10001 "$dest/data" "$dest/run/kek"
chmod 0700 "$dest/data" "$dest/run/kek"
chmod 1777 "$dest/tmp"
