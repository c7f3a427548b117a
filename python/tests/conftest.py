"""What the tests share: files of the repository, random tensors, the corpus where there is one."""

import os
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "testdata" / "demo"
MALFORMED = ROOT / "testdata" / "malformed"
GOLDEN = ROOT / "testdata" / "golden"

#: Every dtype that the codec and NumPy (with ml_dtypes) know, by safetensors' spelling.
DTYPES = {
    "BOOL": np.bool_,
    "U8": np.uint8,
    "I8": np.int8,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "U16": np.uint16,
    "I16": np.int16,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "U32": np.uint32,
    "I32": np.int32,
    "F32": np.float32,
    "U64": np.uint64,
    "I64": np.int64,
    "F64": np.float64,
}


def noise(dtype, shape, seed=0):
    """An array of random bits."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype == np.bool_:
        return rng.integers(0, 2, shape).astype(np.bool_)
    count = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    return np.frombuffer(rng.bytes(count), dtype).reshape(shape)


def weights(shape, dtype=np.float32, seed=0):
    """An array that looks like weights."""
    values = np.random.default_rng(seed).normal(0, 0.02, shape)
    if np.issubdtype(np.dtype(dtype), np.integer):
        values *= 1000
    return values.astype(dtype)


def same(a, b):
    """Whether two arrays agree in dtype, shape and every bit."""
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.fixture(scope="session")
def corpus():
    """The corpus of trained models: tests that want it are never the only ones of something."""
    folder = os.environ.get("WCODEC_CORPUS")
    if not folder:
        pytest.skip("WCODEC_CORPUS does not name the folder of the corpus")
    return Path(folder)


@pytest.fixture
def model():
    """Tensors of several dtypes and shapes, small ones too."""
    return {
        "embed.weight": weights((700, 300), np.float16),
        "layer.weight": weights((256, 512), np.int8, 1),
        "layer.scale": weights((256,), np.float32, 2),
        "conv.weight": weights((32, 16, 3, 3), ml_dtypes.bfloat16, 3),
        "steps": np.array(17, np.int64),
        "none": np.zeros((0, 4), np.float32),
    }
