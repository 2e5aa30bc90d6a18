#!/bin/sh
# Makes .venv with the Python named in $1 (3.11 or newer), and says in one line what is missing.
set -eu
python=$1
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "linewatch needs Python 3.11 or newer; '$python' is not. Name one: make PYTHON=python3.12 ..." >&2
    exit 2
fi
[ -x .venv/bin/python ] && .venv/bin/python -m pip --version >/dev/null 2>&1 && exit 0
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
    else
        echo "Python's venv module is missing: apt-get install python3-venv" >&2
        exit 2
    fi
fi
echo "setting up .venv (a minute or two, most of it downloads)"
"$python" -m venv .venv
