#!/bin/sh
# Make the virtual environment in which the tests run OpenStack Swift, a real server of S3's
# protocol: some seconds, 90 MB, outside the checkout. Built only when missing; memcached comes from
# the system (scripts/system-packages.sh memcached). Usage: scripts/swift/build.sh
set -eu
version=2.38.3
home="${XDG_CACHE_HOME:-$HOME/.cache}/intertie/swift-$version"
[ -e "$home/complete" ] && exit 0
rm -rf "$home"
"${PYTHON:-python3}" -m venv "$home"
"$home/bin/pip" install --quiet --disable-pip-version-check "swift==$version" "setuptools<81"
touch "$home/complete"
