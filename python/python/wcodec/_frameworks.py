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

_WIDTHS = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F16": 2, "BF16": 2, "U16": 2}
_WIDTHS.update({"I16": 2, "F32": 4, "U32": 4, "I32": 4, "F64": 8, "U64": 8, "I64": 8})

#: Bytes of an element of each dtype that the codec knows, in safetensors' spelling. Others are kept
#: as bytes.
WIDTHS = _WIDTHS


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
