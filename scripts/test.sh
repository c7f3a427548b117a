#!/usr/bin/env bash
# Sets up and runs all tests, Rust and Python. Needs cargo, a C compiler and python3.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --workspace --locked
cargo build --release --locked

# A virtual environment of our own: the tests' packages, at pinned versions.
if [ ! -x .venv/bin/python ] || ! cmp -s reference/requirements.txt .venv/requirements.txt; then
    rm -rf .venv
    python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r reference/requirements.txt
    cp reference/requirements.txt .venv/requirements.txt
fi
.venv/bin/python -m pytest -q -p no:cacheprovider reference
