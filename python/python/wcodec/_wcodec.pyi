"""The extension module: see the Rust sources in ``python/src``."""

import os
from collections.abc import Sequence
from typing import Callable, final

import numpy as np
from numpy.typing import NDArray

from ._diff import Diff
from ._options import Options
from ._stats import Stats

__all__ = [
    "FORMAT_VERSION",
    "Reader",
    "__version__",
    "decode_checkpoint",
    "diff",
    "encode_checkpoint",
    "encode_layer",
    "encode_tensors",
    "main",
]

__version__: str
FORMAT_VERSION: tuple[int, int]

_Bytes = NDArray[np.uint8]
_Path = str | os.PathLike[str]
_Progress = Callable[[int, int], object] | None
_Tensor = tuple[str, str, Sequence[int], _Bytes]

@final
class Reader:
    @staticmethod
    def open(path: _Path, max_size: int | None, bases: Sequence[_Path]) -> Reader: ...
    @staticmethod
    def from_bytes(
        data: bytes | bytearray, max_size: int | None, bases: Sequence[_Path]
    ) -> Reader: ...
    def bases(self) -> list[tuple[str, int, list[int] | bytes]]: ...
    def layers(self) -> list[tuple[str, str, list[int], int]]: ...
    def files(self) -> list[tuple[int, str]]: ...
    def read_file(self, file: int) -> bytes: ...
    @property
    def source(self) -> str: ...
    @property
    def original_bytes(self) -> int: ...
    @property
    def coded_bytes(self) -> int: ...
    @property
    def blocks(self) -> int: ...
    @property
    def blake3(self) -> bytes: ...
    def decode_into(self, layers: Sequence[tuple[int, _Bytes]], progress: _Progress) -> None: ...
    def decode_part_into(
        self, layer: int, spans: Sequence[tuple[int, int, int]], out: _Bytes
    ) -> None: ...
    def decode_range(self, start: int, stop: int) -> bytes: ...
    def layer_stats(self, layer: int) -> Stats: ...
    def verify(self, progress: _Progress) -> Stats: ...

def decode_checkpoint(
    input: _Path,
    output: _Path,
    bases: Sequence[_Path],
    threads: int | None,
    max_size: int | None,
    overwrite: bool,
    progress: _Progress,
) -> Stats: ...
def diff(
    a: _Path,
    b: _Path,
    bases: Sequence[_Path],
    threads: int | None,
    max_size: int | None,
    progress: _Progress,
) -> Diff: ...
def encode_checkpoint(
    input: _Path, output: _Path, options: Options, overwrite: bool, progress: _Progress
) -> Stats: ...
def encode_layer(
    name: str, dtype: str, shape: Sequence[int], data: _Bytes, options: Options
) -> tuple[bytes, Stats]: ...
def encode_tensors(
    tensors: Sequence[_Tensor],
    metadata: Sequence[tuple[str, str]] | None,
    output: _Path | None,
    options: Options,
) -> bytes | None: ...
def main(args: Sequence[str]) -> int: ...
