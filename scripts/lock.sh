#!/usr/bin/env bash
# Writes requirements.lock: one set of versions with hashes, for runtime and development.
# Versions that still satisfy pyproject.toml stay; `scripts/lock.sh --upgrade` takes newer ones.
set -euo pipefail
cd "$(dirname "$0")/.."

# uv resolves for machines other than this one, which pip cannot. It comes with the lock itself.
[ -x .venv/bin/uv ] || scripts/setup.sh

# No index line and no header: the lock must read the same whoever wrote it, through any mirror.
.venv/bin/uv pip compile --quiet pyproject.toml --group dev --universal --fork-strategy fewest \
    --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
    --output-file requirements.lock "$@"
