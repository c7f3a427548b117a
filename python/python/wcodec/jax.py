"""JAX: the functions of ``safetensors.flax``, for ``.wcodec`` files. Arrays pass through NumPy."""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence, Tuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from . import numpy as _numpy
from ._options import Path


def load_file(filename: Path, *, backend: str = "mmap") -> Dict[str, Array]:
    """Decodes all tensors of a ``.wcodec`` file; see :func:`wcodec.numpy.load_file`."""
    return _to_jax(_numpy.load_file(filename))


def load(data: bytes) -> Dict[str, Array]:
    """Decodes all tensors of a ``.wcodec`` file that lies in memory; see :func:`wcodec.numpy.load`."""
    return _to_jax(_numpy.load(data))


def save_file(
    tensors: Dict[str, Array], filename: Path, metadata: Optional[Dict[str, str]] = None
) -> None:
    """Encodes arrays into a ``.wcodec`` file; see :func:`wcodec.numpy.save_file`."""
    _numpy.save_file(_from_jax(tensors), filename, metadata)


def save(tensors: Dict[str, Array], metadata: Optional[Dict[str, str]] = None) -> bytes:
    """As :func:`save_file`, but gives the bytes of the ``.wcodec`` file."""
    return _numpy.save(_from_jax(tensors), metadata)


def _to_jax(arrays: Dict[str, NDArray[Any]]) -> Dict[str, Array]:
    return {name: jnp.asarray(array) for name, array in arrays.items()}


def _from_jax(tensors: Dict[str, Array]) -> Dict[str, NDArray[Any]]:
    return {name: np.asarray(tensor) for name, tensor in tensors.items()}


def _empty(dtype: str, shape: Sequence[int]) -> Tuple[NDArray[Any], NDArray[np.uint8]]:
    return _numpy._empty(dtype, shape)


def _finish(tensor: NDArray[Any], device: object) -> Array:
    return jnp.asarray(tensor)


def _flip(tensor: NDArray[Any], axes: Tuple[int, ...]) -> NDArray[Any]:
    return np.flip(tensor, axes)
