"""The native reader."""

from __future__ import annotations

import json
import math
import os
from collections.abc import ItemsView, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _wcodec
from ._errors import CorruptError, UnknownLayerError, UnsupportedError
from ._frameworks import BITS, WIDTHS, Framework, framework
from ._index import select
from ._options import Base, Data, Path, base_paths, file_path
from ._progress import Progress, reporting
from ._stats import Stats

#: Layers are decoded together until they have as many bytes, when they are iterated over.
_BATCH = 64 << 20


@dataclass(frozen=True)
class Layer:
    """A tensor of the original.

    Attributes:
        name: its name, unique in its file.
        dtype: its dtype, in safetensors' spelling where that has one.
        shape: its shape, ``()`` for a scalar.
        nbytes: bytes of its elements.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int


class Reader(Mapping[str, NDArray[Any]]):
    """An open ``.wcodec`` file: a mapping of names to arrays, which are decoded when asked for.

    ``reader[name]`` decodes one layer; ``reader.items()`` and ``reader.values()`` decode layers side
    by side, in the order of the file, 64 MiB or one layer at a time. Every block is checked
    against its checksum. Threads may share a reader. One that was opened from a path can be
    pickled: it is opened again.

    Attributes:
        path: the path, or None for a file in memory.
        layers: the layers by name, in the order of the file.
    """

    path: str | None
    layers: dict[str, Layer]

    # What is open is itself alone; that of a mapping would decode all of both.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __init__(
        self,
        path: Path | None,
        data: Data | None = None,
        max_size: int | None = None,
        base: Base = None,
    ) -> None:
        """:func:`wcodec.open` and :meth:`from_bytes` are meant for users."""
        self._max_size = max_size
        self._bases = base_paths(base)
        if data is None:
            if path is None:
                raise TypeError("path is None, expected a path")
            self.path = file_path("path", path)
            self._native: _wcodec.Reader | None = _wcodec.Reader.open(
                self.path, max_size, self._bases
            )
        else:
            self.path = None
            whole = data if isinstance(data, (bytes, bytearray)) else bytes(data)
            self._native = _wcodec.Reader.from_bytes(whole, max_size, self._bases)
        rows = self._native.layers()
        self._numbers = {row[0]: number for number, row in enumerate(rows)}
        self.layers = {row[0]: Layer(row[0], row[1], tuple(row[2]), row[3]) for row in rows}

    @classmethod
    def from_bytes(cls, data: Data, *, max_size: int | None = None, base: Base = None) -> Reader:
        """Opens a ``.wcodec`` file that lies in memory; ``bytes`` are not copied.

        Raises:
            As :func:`wcodec.open`.
        """
        return cls(None, data, max_size, base)

    @property
    def _where(self) -> str:
        return "the file in memory" if self.path is None else self.path

    @property
    def _open(self) -> _wcodec.Reader:
        if self._native is None:
            raise ValueError("the file is closed")
        return self._native

    def close(self) -> None:
        """Closes the file. What was decoded stays."""
        self._native = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        if self.path is None:
            raise TypeError("a reader of a file in memory cannot be pickled")
        bases = [os.path.abspath(base) for base in self._bases]
        return (Reader, (os.path.abspath(self.path), None, self._max_size, bases))

    def __repr__(self) -> str:
        name = "in memory" if self.path is None else repr(self.path)
        return f"<wcodec.Reader {name}, {len(self.layers)} layers>"

    # What the file is.

    @property
    def source(self) -> str:
        """What the original was: ``"safetensors"``, ``"npy"``, ``"gguf"``, ``"onnx"``, ``"torch"``, ``"opaque"``,
        ``"layer"`` or ``"archive"``."""
        return self._open.source

    @property
    def files(self) -> list[str]:
        """The paths of the files of an archive, whose layers are named ``PATH:NAME``."""
        return [path for _, path in self._open.files()]

    def read_file(self, path: str) -> bytes:
        """A file of an archive.

        Raises:
            KeyError: there is no such file.
            WcodecError: the archive is damaged.
        """
        for number, name in self._open.files():
            if name == path:
                return self._open.read_file(number)
        raise UnknownLayerError(f"{self._where}: there is no file {path!r}")

    @property
    def original_bytes(self) -> int:
        """Bytes of the original."""
        return self._open.original_bytes

    @property
    def bases(self) -> list[tuple[str, int, bytes]]:
        """The checkpoints that layers are predicted from: a hint of the name of each, its bytes and their
        BLAKE3."""
        return [(name, size, bytes(blake3)) for name, size, blake3 in self._open.bases()]

    @property
    def coded_bytes(self) -> int:
        """Bytes of the ``.wcodec`` file."""
        return self._open.coded_bytes

    @property
    def blocks(self) -> int:
        """Number of blocks in the file."""
        return self._open.blocks

    @property
    def blake3(self) -> bytes:
        """BLAKE3 of the original, 32 bytes."""
        return self._open.blake3

    def metadata(self) -> dict[str, str] | None:
        """The ``__metadata__`` of a safetensors file, or None.

        Raises:
            WcodecError: the file is damaged.
        """
        if self.source != "safetensors":
            return None
        try:
            length = int.from_bytes(self._open.decode_range(0, 8), "little")
            header = json.loads(self._open.decode_range(8, 8 + length))
            found = header.get("__metadata__")
            return None if found is None else dict(found)
        except (AttributeError, OverflowError, RecursionError, TypeError, ValueError) as error:
            text = f"the original is no safetensors file, though it was taken for one: {error}"
            raise CorruptError(text, file=self.path) from None

    def stats(self, name: str) -> Stats:
        """What a layer takes in the file.

        Raises:
            KeyError: there is no such layer.
            WcodecError: the file is damaged.
        """
        return self._open.layer_stats(self._number(name))

    def verify(self, *, progress: Progress = None) -> Stats:
        """Checks every hash of the file by decoding everything.

        Args:
            progress: True shows a bar; a function is called with the bytes done and their total.

        Raises:
            WcodecError: the file is damaged; the error says where.
        """
        with reporting(progress, "verify") as report:
            return self._open.verify(report)

    # What is in it.

    def _number(self, name: str) -> int:
        try:
            return self._numbers[name]
        except KeyError:
            raise UnknownLayerError(f"{self._where}: there is no layer {name!r}") from None

    def __getitem__(self, name: str) -> NDArray[Any]:
        array: NDArray[Any] = self._decode([name], "np")[0]
        return array

    def __contains__(self, name: object) -> bool:
        return name in self._numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def items(self) -> ItemsView[str, NDArray[Any]]:
        """Names and arrays, decoded side by side in the order of the file."""
        return _Items(self)

    def values(self) -> ValuesView[NDArray[Any]]:
        """Arrays, decoded side by side in the order of the file."""
        return _Values(self)

    def raw(self, name: str) -> NDArray[np.uint8]:
        """The bytes of a layer, whatever its dtype is.

        Raises:
            KeyError: there is no such layer.
            WcodecError: the file is damaged.
        """
        number = self._number(name)
        out = np.empty(self.layers[name].nbytes, np.uint8)
        self._open.decode_into([(number, out)], None)
        return out

    def part(self, name: str, key: Any) -> NDArray[Any]:
        """Part of a layer: ``reader.part("w", np.s_[:10, ::2])``. Only the blocks that hold it are
        read. Integers, slices of any step, ``...`` and ``None`` mean what they do in NumPy.

        Raises:
            KeyError: there is no such layer.
            IndexError: the index does not fit the shape.
            WcodecError: the file is damaged.
        """
        array: NDArray[Any] = self._part(name, key, "np")
        return array

    def _check_structure(self) -> None:
        """Refuses an original of no known structure: it has no tensors to give, though bytes."""
        if self.source == "opaque":
            text = (
                f"{self._where} holds bytes of no known structure, expected tensors; "
                "decode_checkpoint restores the original"
            )
            raise UnsupportedError(text, file=self.path)

    def _decode_all(self, kind: str, progress: Progress = None) -> dict[str, Any]:
        """Decodes all layers into new tensors of a framework."""
        self._check_structure()
        names = list(self)
        return dict(zip(names, self._decode(names, kind, progress)))

    def _decode(self, names: list[str], kind: str, progress: Progress = None) -> list[Any]:
        """Decodes layers into new tensors of a framework."""
        target = framework(kind)
        native = self._open
        numbers = [self._number(name) for name in names]
        layers = [self.layers[name] for name in names]
        for layer in layers:
            self._check_size(layer)
        tensors, wanted = [], []
        for number, layer in zip(numbers, layers):
            tensor, memory = self._empty(target, layer, layer.shape)
            tensors.append(tensor)
            wanted.append((number, memory))
        with reporting(progress, "decode") as report:
            native.decode_into(wanted, report)
        return tensors

    def _empty(
        self, target: Framework, layer: Layer, shape: Sequence[int]
    ) -> tuple[Any, NDArray[np.uint8]]:
        """A new tensor for a layer or a part of it, and its memory."""
        try:
            return target._empty(layer.dtype, shape)
        except UnsupportedError as error:
            text = f'{self._where}: layer "{layer.name}": {error}'
            raise UnsupportedError(text, file=self.path, layer=layer.name) from None

    def _check_size(self, layer: Layer) -> None:
        """Refuses a shape that the bytes are not of, before there is memory for it: of dtypes that the codec does not
        know a file may claim any."""
        bits = BITS.get(layer.dtype)
        if bits is not None and math.prod(layer.shape) * bits != 8 * layer.nbytes:
            text = (
                f'{self._where}: layer "{layer.name}": {layer.nbytes} bytes of {layer.dtype} are not of '
                f"shape {layer.shape}"
            )
            raise CorruptError(text, file=self.path, layer=layer.name)

    def _part(self, name: str, key: Any, kind: str) -> Any:
        number = self._number(name)
        layer = self.layers[name]
        chosen = select(key, layer.shape)
        if layer.dtype not in WIDTHS or chosen.is_all(layer.shape):
            # The codec cannot cut what it does not know.
            whole = self._decode([name], kind)[0]
            return whole if chosen.is_all(layer.shape) else whole[key]
        target = framework(kind)
        tensor, memory = self._empty(target, layer, chosen.shape)
        self._open.decode_part_into(number, chosen.spans, memory)
        return target._flip(tensor, chosen.flipped) if chosen.flipped else tensor


class _Items(ItemsView[str, NDArray[Any]]):
    """Decodes layers together until they have enough bytes for all threads."""

    _mapping: Reader

    def __iter__(self) -> Iterator[tuple[str, NDArray[Any]]]:
        batch: list[str] = []
        size = 0
        for layer in self._mapping.layers.values():
            if batch and size + layer.nbytes > _BATCH:
                yield from zip(batch, self._mapping._decode(batch, "np"))
                batch, size = [], 0
            batch.append(layer.name)
            size += layer.nbytes
        yield from zip(batch, self._mapping._decode(batch, "np"))


class _Values(ValuesView[NDArray[Any]]):
    _mapping: Reader

    def __iter__(self) -> Iterator[NDArray[Any]]:
        for _, array in self._mapping.items():
            yield array


def open(path: Path, *, max_size: int | None = None, base: Base = None) -> Reader:
    """Opens a ``.wcodec`` file.

    Args:
        path: the file.
        max_size: the largest original to accept, in bytes; without it 12,000 times the size of the
            file, or 1 GiB.
        base: checkpoints that the file was predicted from, plain or as ``.wcodec`` files, or folders that hold
            them: one path or several, beside the folders that ``WCODEC_BASE_PATH`` lists. Without any the
            file opens too, but gives only what needs none.

    Raises:
        OSError: a file cannot be read.
        CorruptError: it is not a ``.wcodec`` file, or damaged.
        UnsupportedError: it needs a newer version of wcodec.
        LimitError: it asks for more than is allowed.
        MissingBaseError: none of what was given as ``base`` is a base of the file.
    """
    return Reader(path, max_size=max_size, base=base)
