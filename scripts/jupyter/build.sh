#!/bin/sh
# Make the virtual environment of a provider who offers notebooks, of the checkout's own Python: a
# minute, 240 MB, outside the checkout. Built only when missing. Usage: scripts/jupyter/build.sh
set -eu
version=4.6.6
python="$(dirname "$0")/../../.venv/bin/python"
minor="$("$python" -c 'import sys; print(*sys.version_info[:2], sep=".")')"
home="${XDG_CACHE_HOME:-$HOME/.cache}/intertie/jupyterlab-$version-python$minor"
[ -e "$home/complete" ] && exit 0
rm -rf "$home"
"$python" -m venv "$home"
"$home/bin/pip" install --quiet --disable-pip-version-check "jupyterlab==$version"
touch "$home/complete"
