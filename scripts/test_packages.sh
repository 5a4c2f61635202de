#!/bin/sh
# What the tests need besides Python: a real PostgreSQL (for the import of other gateways' databases) and a real nginx (a second
# opinion on hostile HTTP, and the proxy of docs/install.md). Installed when this runs as root on Debian, and never started as
# services; elsewhere the tests that need them are skipped and say so.
set -u
wanted=""
command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || wanted="postgresql"
command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ] || wanted="$wanted nginx-light"
[ -n "$wanted" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "not installed, so that their tests will be skipped: $wanted. For all tests:  sudo apt-get install -y $wanted" >&2
  exit 0
fi
echo "installing for the tests (once): $wanted…"
mkdir -p /etc/postgresql-common  # no server of the distribution is wanted, only its programs
[ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' > "$policy" && chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086  # several words on purpose
{ apt-get update -q && apt-get install -y -q --no-install-recommends $wanted; } >"$log" 2>&1 ||
  { tail -3 "$log" >&2; echo "could not be installed, so that their tests will be skipped: $wanted" >&2; }
rm -f "$log"
exit 0
