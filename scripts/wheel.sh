#!/usr/bin/env bash
# Builds the wheel of the Python package into a folder. Needs cargo, a C compiler, and maturin in the
# environment of the interpreter that PYTHON names.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${1:-target/wheels}"
python="$(realpath -s "${PYTHON:-python3}")"

rm -f "$out"/wcodec-*.whl
"$python" -m maturin build --quiet --release --locked --manifest-path python/Cargo.toml \
    --target-dir target --interpreter "$python" --out "$out"
