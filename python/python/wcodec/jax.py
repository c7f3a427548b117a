"""JAX: the functions of ``safetensors.flax``, for ``.wcodec`` files. Arrays pass through NumPy.

Elements of 64 bits become 32 wide, as in every array of JAX, unless ``jax_enable_x64`` is set.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from . import numpy as _numpy
from ._options import Base, Data, Path


def load_file(
    filename: Path, *, backend: str = "mmap", base: Base = None, max_size: int | None = None
) -> dict[str, Array]:
    """Decodes all tensors of a ``.wcodec`` file; see :func:`wcodec.numpy.load_file`."""
    return _to_jax(_numpy.load_file(filename, base=base, max_size=max_size))


def load(data: Data, *, base: Base = None, max_size: int | None = None) -> dict[str, Array]:
    """Decodes all tensors of a ``.wcodec`` file that lies in memory; see :func:`wcodec.numpy.load`."""
    return _to_jax(_numpy.load(data, base=base, max_size=max_size))


def save_file(
    tensors: dict[str, Array], filename: Path, metadata: dict[str, str] | None = None
) -> None:
    """Encodes arrays into a ``.wcodec`` file; see :func:`wcodec.numpy.save_file`."""
    _numpy.save_file(_from_jax(tensors), filename, metadata)


def save(tensors: dict[str, Array], metadata: dict[str, str] | None = None) -> bytes:
    """As :func:`save_file`, but gives the bytes of the ``.wcodec`` file."""
    return _numpy.save(_from_jax(tensors), metadata)


def _to_jax(arrays: dict[str, NDArray[Any]]) -> dict[str, Array]:
    return {name: jnp.asarray(array) for name, array in arrays.items()}


def _from_jax(tensors: dict[str, Array]) -> dict[str, NDArray[Any]]:
    return {name: np.asarray(tensor) for name, tensor in tensors.items()}


# Arrays are decoded and turned round before they become JAX's.
_empty = _numpy._empty
_flip = _numpy._flip


def _finish(tensor: NDArray[Any], device: object) -> Array:
    return jnp.asarray(tensor)
