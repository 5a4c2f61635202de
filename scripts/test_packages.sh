#!/bin/sh
# What the tests need besides Python: a real PostgreSQL (for the import of other gateways' databases). Installed when this runs
# as root on Debian; elsewhere the tests that need it are skipped and say so.
set -u
command -v initdb >/dev/null 2>&1 && exit 0
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "PostgreSQL is not installed: its tests will be skipped. For all tests:  sudo apt-get install -y postgresql" >&2
  exit 0
fi
echo "installing PostgreSQL for the tests (once)…"
mkdir -p /etc/postgresql-common  # no server of the distribution is wanted, only its programs
[ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -q && apt-get install -y -q --no-install-recommends postgresql; } >"$log" 2>&1 ||
  { tail -3 "$log" >&2; echo "PostgreSQL could not be installed: its tests will be skipped" >&2; }
rm -f "$log"
exit 0
