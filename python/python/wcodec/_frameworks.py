"""What the reader needs of a framework: memory to decode into, and a few things to do with tensors."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

MODULES = {
    "np": "wcodec.numpy",
    "numpy": "wcodec.numpy",
    "pt": "wcodec.torch",
    "torch": "wcodec.torch",
    "pytorch": "wcodec.torch",
    "jax": "wcodec.jax",
    "flax": "wcodec.jax",
}

#: Bytes of an element of each dtype that the codec knows, in safetensors' spelling. Others are kept
#: as bytes.
WIDTHS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("F16", "BF16", "U16", "I16"), 2),
    **dict.fromkeys(("F32", "U32", "I32"), 4),
    **dict.fromkeys(("F64", "U64", "I64"), 8),
}

#: Bits of an element of each dtype that a framework may know, in safetensors' spelling.
BITS = {
    **{code: 8 * width for code, width in WIDTHS.items()},
    **dict.fromkeys(("F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    "F4": 4,
    "C64": 64,
}

#: What the frameworks call the dtypes of safetensors; NumPy has some of them from ml_dtypes.
NAMES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "F16": "float16",
    "U32": "uint32",
    "I32": "int32",
    "F32": "float32",
    "U64": "uint64",
    "I64": "int64",
    "F64": "float64",
    "C64": "complex64",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
}


class Framework(Protocol):
    """The private part of ``wcodec.numpy``, ``wcodec.torch`` and ``wcodec.jax``."""

    def _empty(self, dtype: str, shape: Sequence[int]) -> tuple[Any, NDArray[np.uint8]]:
        """A new array or tensor of a dtype in safetensors' spelling, and its memory as bytes."""

    def _finish(self, tensor: Any, device: Any) -> Any:
        """Brings what was decoded to its device and its type."""

    def _flip(self, tensor: Any, axes: tuple[int, ...]) -> Any:
        """Turns dimensions round."""


def framework(name: str) -> Framework:
    """The framework of this name; imports it."""
    if name not in MODULES:
        raise ValueError(f"framework is {name!r}, expected one of {', '.join(MODULES)}")
    return cast(Framework, importlib.import_module(MODULES[name]))
