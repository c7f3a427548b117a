#!/usr/bin/env python3
"""Compares `wcodec extract --dequantize` with the gguf package: scripts/check_dequantize.py WCODEC [GGUF ...]

First a file of random blocks of every type that the package makes floats of, then the tensors of the files given. All must be the
same bit for bit, but for NaNs, which must be NaNs. Needs numpy and gguf.
"""

import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as Type

ROWS, BLOCKS = 37, 8


def known(kind):
    """Whether the package makes floats of a type."""
    try:
        gguf.dequantize(np.zeros((1, GGML_QUANT_SIZES[kind][1] * 4), np.uint8), kind)
    except NotImplementedError:
        return False
    return True


def write_random(path):
    """Writes a file of random bytes as blocks; returns the types."""
    random = np.random.default_rng(1)
    writer = gguf.GGUFWriter(path, "none")
    kinds = [kind for kind in Type if kind in GGML_QUANT_SIZES and known(kind)]
    for kind in kinds:
        data = random.integers(0, 256, (ROWS, BLOCKS * GGML_QUANT_SIZES[kind][1]), np.uint8)
        writer.add_tensor(kind.name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return kinds


def check(wcodec, path, folder):
    """Compares all tensors of a file; returns their number."""
    coded, out = folder / "coded.wcodec", folder / "out.npy"
    subprocess.run([wcodec, "encode", "--quiet", "--force", path, "-o", coded], check=True, stdout=subprocess.DEVNULL)
    count = 0
    for tensor in gguf.GGUFReader(path).tensors:
        if not known(tensor.tensor_type):
            continue
        want = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        command = [wcodec, "extract", coded, tensor.name, "--dequantize", "--force", "-o", out]
        subprocess.run(command, check=True)
        have = np.load(out)
        nan = np.isnan(want)
        same = have.shape == want.shape and (np.isnan(have) == nan).all()
        if not same or (have.view(np.uint32) != want.view(np.uint32))[~nan].any():
            sys.exit(f"{path}: tensor {tensor.name} {tensor.tensor_type.name} differs")
        if count % 50 == 0:
            rows = [wcodec, "extract", coded, tensor.name, "--dequantize", "--rows", "0:1", "--force", "-o", out]
            subprocess.run(rows, check=True)
            first = have if have.ndim < 2 else have[0]
            if not np.array_equal(np.load(out).ravel(), first.ravel(), equal_nan=True):
                sys.exit(f"{path}: the first row of {tensor.name} differs")
        count += 1
    return count


def main():
    wcodec, *files = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        kinds = write_random(folder / "random.gguf")
        check(wcodec, folder / "random.gguf", folder)
        print(f"{len(kinds)} types: {' '.join(kind.name for kind in kinds)}")
        for file in files:
            print(f"{file}: {check(wcodec, file, folder)} tensors")


if __name__ == "__main__":
    main()
