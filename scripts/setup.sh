#!/usr/bin/env bash
# Builds .venv from requirements.lock, and returns at once when nothing has changed.
# Works as root and as an ordinary user, with or without Debian's python3-venv.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
venv=.venv

# Called from inside a virtual environment, this one perhaps: build from the Python below it.
python=$("$python" -c 'import sys; print(sys._base_executable)' 2>/dev/null || printf '%s' "$python")

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# What the environment was built from: another lock, interpreter or folder means a new one.
key_of_environment() {
    { cat requirements.lock scripts/setup.sh; "$python" -c 'import sys; print(sys.version, sys.prefix)'; pwd; } | sha256sum
}

check_python() {
    command -v "$python" >/dev/null || fail "no $python here; install Python 3.11 or newer (Debian: python3)"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$("$python" --version) is too old; name a Python 3.11 or newer with PYTHON=…"
}

check_pip() {
    "$python" -m pip --version >/dev/null 2>&1 ||
        fail "$python has no pip; install it (Debian: python3-pip)"
}

build() {
    check_pip
    say "building $venv from requirements.lock (about a minute the first time)"
    rm -rf "$venv"
    # --without-pip needs no ensurepip, which Debian keeps in a package of its own;
    # the pip that is already here then installs into the new environment.
    "$python" -m venv --without-pip "$venv"
    install --require-hashes -r requirements.lock
}

install() {
    check_pip
    # --python: this pip, that environment. Externally managed Pythons are not touched.
    "$python" -m pip --python "$venv/bin/python" install \
        -qq --no-input --disable-pip-version-check --no-warn-script-location "$@"
}

check_python
exec 9>.setup.lock
if command -v flock >/dev/null; then flock 9; fi # two makes at once: the second waits

key=$(key_of_environment)
if [ "$(cat "$venv/.lock-key" 2>/dev/null)" != "$key" ]; then
    build
    printf '%s\n' "$key" >"$venv/.lock-key"
fi

# The project itself is installed in place, so only a change of pyproject.toml asks for it again.
project_key=$(sha256sum <pyproject.toml)
if [ "$(cat "$venv/.project-key" 2>/dev/null)" != "$project_key" ]; then
    install --no-deps --no-build-isolation --editable .
    printf '%s\n' "$project_key" >"$venv/.project-key"
fi
