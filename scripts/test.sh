#!/usr/bin/env bash
# Sets up and runs all tests, Rust and Python. Needs cargo, a C compiler and python3.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --workspace --locked
cargo build --release --locked

# A virtual environment of our own: the tests' packages, at pinned versions.
requirements="$(cat reference/requirements.txt python/requirements.txt)"
if [ ! -x .venv/bin/python ] || [ "$requirements" != "$(cat .venv/requirements.txt 2>/dev/null)" ]; then
    rm -rf .venv
    python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        -r reference/requirements.txt -r python/requirements.txt
    printf '%s' "$requirements" > .venv/requirements.txt
fi
.venv/bin/python -m pytest -q -p no:cacheprovider reference

# The Python package as its users get it: a wheel.
PYTHON=.venv/bin/python scripts/wheel.sh target/wheels
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall \
    target/wheels/wcodec-*.whl
.venv/bin/ruff check --quiet python
.venv/bin/ruff format --quiet --check python
.venv/bin/python -m pytest python
