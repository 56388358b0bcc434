#!/bin/sh
# Resolve once, in constraints.txt; then write one hashed lock for each kind of install, all from those versions.
# `lock.sh --upgrade` takes the newest versions, otherwise those of constraints.txt stay.
set -eu
cd "$(dirname "$0")/.."

compile() {
    .venv/bin/uv pip compile --quiet --universal --python-version 3.12 --no-header --no-annotate "$@"
}

compile "$@" pyproject.toml --all-extras -o requirements/constraints.txt
hashed() {
    compile --generate-hashes -c requirements/constraints.txt pyproject.toml --extra build "$@"
}

hashed -o requirements/base.lock
for extra in operator test tpu gpu; do
    hashed --extra "$extra" -o "requirements/$extra.lock"
done
compile "$@" --generate-hashes -c requirements/constraints.txt requirements/parity.in -o requirements/parity.lock
compile "$@" --generate-hashes requirements/xpk.in -o requirements/xpk.lock
