"""NumPy: the functions of ``safetensors.numpy``, for ``.wcodec`` files.

NumPy has no bfloat16 and no 8-bit floats. If the package ``ml_dtypes`` is installed, they come as its
types; else as unsigned integers of the same width, with a warning.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _wcodec
from ._errors import UnsupportedError
from ._frameworks import NAMES
from ._options import Base, Data, Path, file_path, options
from ._reader import Reader

#: dtypes by NumPy's names, and those of ml_dtypes.
_CODES = {name: code for code, name in NAMES.items()}


def load_file(
    filename: Path, *, backend: str = "mmap", base: Base = None, max_size: int | None = None
) -> dict[str, NDArray[Any]]:
    """Decodes all tensors of a ``.wcodec`` file.

    Args:
        filename: the file.
        backend: accepted for safetensors' sake; it does not matter here.
        base, max_size: as in :func:`wcodec.open`.

    Raises:
        OSError: the file cannot be read.
        WcodecError: it is damaged, or holds a dtype that NumPy does not have.
    """
    with Reader(filename, base=base, max_size=max_size) as reader:
        return reader._decode_all("np")


def load(data: Data, *, base: Base = None, max_size: int | None = None) -> dict[str, NDArray[Any]]:
    """Decodes all tensors of a ``.wcodec`` file that lies in memory.

    Args:
        data: the file.
        base, max_size: as in :func:`wcodec.open`.

    Raises:
        WcodecError: it is damaged, or holds a dtype that NumPy does not have.
    """
    with Reader.from_bytes(data, base=base, max_size=max_size) as reader:
        return reader._decode_all("np")


def save_file(
    tensor_dict: dict[str, NDArray[Any]],
    filename: Path,
    metadata: dict[str, str] | None = None,
) -> None:
    """Encodes arrays into a ``.wcodec`` file, which decodes to the file that ``safetensors.numpy.save_file``
    writes. It appears under its name when it is complete and verified; an existing one is replaced.

    Args:
        tensor_dict: arrays of any memory layout, by name.
        filename: the file to write.
        metadata: free text that is saved with them.

    Raises:
        OSError: the file cannot be written.
        TypeError, ValueError: an array has a dtype that safetensors does not know, or a name or the
            metadata are no strings.
    """
    path = file_path("filename", filename)
    _wcodec.encode_tensors(_tensors(tensor_dict), pairs(metadata), path, options())


def save(tensor_dict: dict[str, NDArray[Any]], metadata: dict[str, str] | None = None) -> bytes:
    """As :func:`save_file`, but gives the bytes of the ``.wcodec`` file."""
    coded = _wcodec.encode_tensors(_tensors(tensor_dict), pairs(metadata), None, options())
    assert coded is not None
    return coded


def _tensors(
    tensor_dict: dict[str, NDArray[Any]],
) -> list[tuple[str, str, tuple[int, ...], NDArray[np.uint8]]]:
    rows = []
    for name, array in tensor_dict.items():
        check_name(name)
        if not isinstance(array, (np.ndarray, np.generic)):
            kind = type(array).__name__
            raise TypeError(f"tensor {name!r} is of type {kind}, expected an array of NumPy")
        array = np.asarray(array)
        rows.append((name, dtype_code(array, name), array.shape, memory_of(array)))
    return rows


def check_name(name: object) -> None:
    """Refuses names that a safetensors file cannot have."""
    if not isinstance(name, str):
        raise TypeError(
            f"the name {name!r} of a tensor is of type {type(name).__name__}, expected str"
        )
    if name == "__metadata__":
        raise ValueError("a tensor cannot have the name '__metadata__'")


def pairs(metadata: dict[str, str] | None) -> list[tuple[str, str]] | None:
    """The metadata, checked."""
    if metadata is None:
        return None
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"metadata has {key!r}: {value!r}, expected strings")
    return list(metadata.items())


def dtype_code(array: NDArray[Any], name: str) -> str:
    """The dtype of an array in safetensors' spelling."""
    code = _CODES.get(array.dtype.name)
    if code is None:
        known = ", ".join(_CODES)
        raise ValueError(f"tensor {name!r} has dtype {array.dtype.name}, expected one of {known}")
    return code


def memory_of(array: NDArray[Any]) -> NDArray[np.uint8]:
    """The elements of an array as bytes, little-endian and in C order; copied only if they are not."""
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return array.reshape(-1).view(np.uint8)


def dtype_of(code: str) -> np.dtype[Any]:
    """NumPy's dtype for one in safetensors' spelling."""
    name = NAMES.get(code)
    if name is None:
        raise UnsupportedError(f"dtype {code} is not one of NumPy's; Reader.raw gives the bytes")
    try:
        return np.dtype(name)
    except TypeError:
        pass
    try:
        import ml_dtypes

        found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
        return found
    except (ImportError, AttributeError):
        width = 2 if code == "BF16" else 1
        text = f"{code} comes as uint{8 * width}: NumPy does not have it (install ml_dtypes)"
        warnings.warn(text, stacklevel=2)
        return np.dtype(f"uint{8 * width}")


def _empty(dtype: str, shape: Sequence[int]) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    array = np.empty(shape, dtype_of(dtype))
    return array, array.reshape(-1).view(np.uint8)


def _finish(tensor: NDArray[Any], device: object) -> NDArray[Any]:
    return tensor


def _flip(tensor: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
    return np.flip(tensor, axes)
