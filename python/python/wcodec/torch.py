"""PyTorch: the functions of ``safetensors.torch``, for ``.wcodec`` files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from . import _wcodec
from ._errors import UnsupportedError
from ._frameworks import NAMES
from ._options import Base, Data, Path, file_path, options
from ._reader import Reader
from .numpy import check_name, pairs

#: PyTorch's names of dtypes. Older versions do not have all of them.
_NAMES = {**NAMES, "F4": "float4_e2m1fn_x2"}
_CODES = {getattr(torch, name): code for code, name in _NAMES.items() if hasattr(torch, name)}


def load_file(
    filename: Path,
    device: str | int | torch.device = "cpu",
    *,
    backend: str = "mmap",
    base: Base = None,
    max_size: int | None = None,
) -> dict[str, torch.Tensor]:
    """Decodes all tensors of a ``.wcodec`` file.

    Args:
        filename: the file.
        device: where the tensors are to be.
        backend: accepted for safetensors' sake; it does not matter here.
        base, max_size: as in :func:`wcodec.open`.

    Raises:
        OSError: the file cannot be read.
        WcodecError: it is damaged, or holds a dtype that this PyTorch does not have.
    """
    with Reader(filename, base=base, max_size=max_size) as reader:
        return _load(reader, device)


def load(data: Data, *, base: Base = None, max_size: int | None = None) -> dict[str, torch.Tensor]:
    """Decodes all tensors of a ``.wcodec`` file that lies in memory.

    Args:
        data: the file.
        base, max_size: as in :func:`wcodec.open`.

    Raises:
        WcodecError: it is damaged, or holds a dtype that this PyTorch does not have.
    """
    with Reader.from_bytes(data, base=base, max_size=max_size) as reader:
        return _load(reader, "cpu")


def _load(reader: Reader, device: str | int | torch.device) -> dict[str, torch.Tensor]:
    tensors = reader._decode_all("pt")
    return {name: _finish(tensor, device) for name, tensor in tensors.items()}


def save_file(
    tensors: dict[str, torch.Tensor],
    filename: Path,
    metadata: dict[str, str] | None = None,
) -> None:
    """Encodes tensors into a ``.wcodec`` file, which decodes to the file that ``safetensors.torch.save_file``
    writes. It appears under its name when it is complete and verified; an existing one is replaced.

    Tensors may lie in memory as they like; those that share memory are saved as often as they occur.

    Args:
        tensors: tensors on any device, by name.
        filename: the file to write.
        metadata: free text that is saved with them.

    Raises:
        OSError: the file cannot be written.
        TypeError, ValueError: a tensor is sparse or has a dtype that safetensors does not know, or a
            name or the metadata are no strings.
    """
    path = file_path("filename", filename)
    _wcodec.encode_tensors(_tensors(tensors), pairs(metadata), path, options())


def save(tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """As :func:`save_file`, but gives the bytes of the ``.wcodec`` file."""
    coded = _wcodec.encode_tensors(_tensors(tensors), pairs(metadata), None, options())
    assert coded is not None
    return coded


def _tensors(
    tensors: dict[str, torch.Tensor],
) -> list[tuple[str, str, tuple[int, ...], NDArray[np.uint8]]]:
    rows = []
    for name, tensor in tensors.items():
        check_name(name)
        if not isinstance(tensor, torch.Tensor):
            kind = type(tensor).__name__
            raise TypeError(f"tensor {name!r} is of type {kind}, expected torch.Tensor")
        if tensor.layout != torch.strided or tensor.device.type == "meta":
            raise ValueError(f"tensor {name!r} is sparse or without data, expected a dense one")
        code = _CODES.get(tensor.dtype)
        if code is None:
            raise ValueError(f"tensor {name!r} has dtype {tensor.dtype}, which safetensors lacks")
        shape = tuple(tensor.shape)
        if code == "F4":
            if not shape:
                raise ValueError(f"tensor {name!r} of {tensor.dtype} has no dimension to count in")
            shape = (*shape[:-1], 2 * shape[-1])
        rows.append((name, code, shape, _memory(tensor)))
    return rows


def _memory(tensor: torch.Tensor) -> NDArray[np.uint8]:
    """The elements of a tensor as bytes, in C order; copied only if they are not, or elsewhere."""
    tensor = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous()
    if tensor.numel() == 0:
        return np.empty(0, np.uint8)
    flat: NDArray[np.uint8] = tensor.reshape(-1).view(torch.uint8).numpy()
    return flat


def _empty(dtype: str, shape: Sequence[int]) -> tuple[torch.Tensor, NDArray[np.uint8]]:
    kind = getattr(torch, _NAMES.get(dtype, ""), None)
    if kind is None:
        text = (
            f"dtype {dtype} is not one of PyTorch {torch.__version__}; Reader.raw gives the bytes"
        )
        raise UnsupportedError(text)
    if dtype == "F4":
        # Two elements share a byte.
        if not shape or shape[-1] % 2:
            text = f"PyTorch has no F4 of shape {tuple(shape)}; Reader.raw gives the bytes"
            raise UnsupportedError(text)
        shape = (*shape[:-1], shape[-1] // 2)
    # The reader decodes into this memory, whatever device the caller makes tensors on.
    tensor = torch.empty(tuple(shape), dtype=kind, device="cpu")
    memory = _memory(tensor)
    if tensor.numel() and memory.ctypes.data != tensor.data_ptr():
        raise UnsupportedError("PyTorch gave no memory to decode into")
    return tensor, memory


def _finish(tensor: torch.Tensor, device: Any) -> torch.Tensor:
    return tensor if device == "cpu" else tensor.to(device)


def _flip(tensor: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
    return torch.flip(tensor, axes)
