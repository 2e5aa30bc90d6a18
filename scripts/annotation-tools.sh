#!/bin/sh
# Makes an environment for each annotation tool in .venv-tools, apart from Linewatch's own, and lets
# the tool's own code write and read (scripts/annotation-tools/check.py). $1 is the Python to use.
# BORIS 10 wants Python 3.13: BORIS10_PYTHON names one where it is not called python3.13.
set -eu
python=$1
here=scripts/annotation-tools

missing=""
command -v chromium >/dev/null || missing="$missing chromium"
command -v ffmpeg >/dev/null || missing="$missing ffmpeg"
ldconfig -p | grep -q 'libmpv\.so' || missing="$missing libmpv2"
ldconfig -p | grep -q 'libpulse-mainloop-glib\.so' || missing="$missing libpulse-mainloop-glib0"
if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "annotation tools need: apt-get install$missing" >&2
        exit 2
    fi
    echo "installing$missing"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

check() { # name, Python
    if [ ! .venv-tools/"$1"/.ready -nt $here/"$1".txt ]; then
        echo "setting up .venv-tools/$1"
        "$2" -m venv --clear .venv-tools/"$1"
        .venv-tools/"$1"/bin/python -m pip --disable-pip-version-check --quiet install --requirement $here/"$1".txt
        touch .venv-tools/"$1"/.ready
    fi
    PYTHONPATH=. .venv/bin/python $here/check.py ${KEEP:+--keep} "$1"
}

check elan "$python"
check cvat "$python"
check boris-8 "$python"
check label-studio "$python"
boris10=${BORIS10_PYTHON:-python3.13}
if "$boris10" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then
    check boris-10 "$boris10"
else
    echo "BORIS 10 left out: it wants Python 3.13, and '$boris10' is not (name one in BORIS10_PYTHON)"
fi
