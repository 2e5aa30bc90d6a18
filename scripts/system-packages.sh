#!/bin/sh
# Installs the Debian packages that the tests use, or says which are missing.
set -eu
missing=""
command -v chromium >/dev/null || missing="$missing chromium"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing$missing"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    # The tests that need them skip with this reason; everything else runs.
    echo "some tests will be skipped; for all of them: apt-get install$missing" >&2
fi
