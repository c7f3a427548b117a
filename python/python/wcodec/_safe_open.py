"""``safe_open``, as safetensors has it."""

from __future__ import annotations

import functools
import os
from types import TracebackType
from typing import Any

from ._frameworks import framework as _framework
from ._options import Base, Path
from ._reader import Reader


class safe_open:
    """Opens a ``.wcodec`` file lazily and gives tensors as asked for: the drop-in for
    ``safetensors.safe_open``.

    Args:
        filename: the file.
        framework: the framework of the tensors, ``"np"``, ``"pt"`` or ``"jax"`` (``"numpy"``,
            ``"torch"``, ``"pytorch"`` and ``"flax"`` too).
        device: the device of the tensors; other than ``"cpu"`` for PyTorch alone.
        backend: accepted for safetensors' sake; it does not matter here.
        base, max_size: as in :func:`wcodec.open`.

    Raises:
        OSError, WcodecError: as :func:`wcodec.open`.
        UnsupportedError: the original was kept as bytes of no known structure.
        ValueError: framework or device are not known.
    """

    def __init__(
        self,
        filename: Path,
        framework: str,
        device: str | int | Any = "cpu",
        *,
        backend: str = "mmap",
        base: Base = None,
        max_size: int | None = None,
    ) -> None:
        _framework(framework)
        if str(device) != "cpu" and framework not in ("pt", "torch", "pytorch"):
            raise ValueError(f"device is {device!r}, expected 'cpu' for framework {framework!r}")
        self._framework = framework
        self._device = device
        self._reader = Reader(filename, base=base, max_size=max_size)
        self._reader._check_structure()

    def __enter__(self) -> safe_open:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.close()

    def __reduce__(self) -> tuple[Any, ...]:
        assert self._reader.path is not None
        _, _, max_size, base = self._reader.__reduce__()[1]
        make = functools.partial(safe_open, base=base, max_size=max_size)
        return (make, (os.path.abspath(self._reader.path), self._framework, self._device))

    def keys(self) -> list[str]:
        """The names of the tensors, sorted."""
        return sorted(self.offset_keys())

    def offset_keys(self) -> list[str]:
        """The names of the tensors, in the order of the file."""
        return [row[0] for row in self._reader._open.layers()]

    def metadata(self) -> dict[str, str] | None:
        """The free text that was saved with the tensors, or None."""
        return self._reader.metadata()

    def get_tensor(self, name: str) -> Any:
        """Decodes a tensor.

        Raises:
            KeyError: there is no such tensor.
            WcodecError: the file is damaged.
        """
        return self._finish(self._reader._decode([name], self._framework)[0])

    def get_tensors(self) -> dict[str, Any]:
        """Decodes all tensors, side by side: faster than one after another."""
        tensors = self._reader._decode_all(self._framework)
        return {name: self._finish(tensor) for name, tensor in tensors.items()}

    def get_slice(self, name: str) -> Slice:
        """A tensor to be sliced: ``file.get_slice("embedding")[:, ::8]`` decodes the blocks that hold
        these columns, and no others.

        Raises:
            KeyError: there is no such tensor.
        """
        self._reader._number(name)
        return Slice(self, name)

    def _finish(self, tensor: Any) -> Any:
        return _framework(self._framework)._finish(tensor, self._device)


class Slice:
    """A tensor of an open file, not decoded yet. Integers, slices of any step, ``...`` and ``None``
    mean what they do in NumPy."""

    def __init__(self, file: safe_open, name: str) -> None:
        """:meth:`safe_open.get_slice` is meant for users."""
        self._file = file
        self._layer = file._reader.layers[name]

    def get_shape(self) -> list[int]:
        """The shape."""
        return list(self._layer.shape)

    def get_dtype(self) -> str:
        """The dtype, in safetensors' spelling: ``"BF16"``."""
        return self._layer.dtype

    def __getitem__(self, key: Any) -> Any:
        """Decodes a part.

        Raises:
            IndexError: the index does not fit the shape.
            WcodecError: the file is damaged.
        """
        file = self._file
        return file._finish(file._reader._part(self._layer.name, key, file._framework))
