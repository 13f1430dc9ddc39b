#!/bin/sh
# Make the virtual environment in which the tests run a Ray head: half a minute, 400 MB, outside the
# checkout. Built only when missing. Usage: scripts/ray/build.sh
set -eu
version=2.60.0
home="${XDG_CACHE_HOME:-$HOME/.cache}/intertie/ray-$version"
[ -e "$home/complete" ] && exit 0
rm -rf "$home"
"${PYTHON:-python3}" -m venv "$home"
"$home/bin/pip" install --quiet --disable-pip-version-check "ray[default]==$version"
touch "$home/complete"
