"""Arguments, checked before they are passed on."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Union

TileSize = Union[int, tuple[int, int]]
Path = Union[str, "os.PathLike[str]"]
Base = Union[Path, Sequence[Path], None]
Data = Union[bytes, bytearray, memoryview]


@dataclass(frozen=True)
class Options:
    """What the encoder does, as the extension module reads it."""

    tile: tuple[int, int]
    predictors: list[str] | None
    threads: int | None
    verify: bool
    effort: str
    bases: list[str]


def options(
    tile_size: TileSize = 16,
    predictor_modes: Sequence[str] | None = None,
    threads: int | None = None,
    verify: bool = True,
    effort: str = "default",
    base: Base = None,
) -> Options:
    """Checks the arguments of an encoder."""
    tile = tile_size if isinstance(tile_size, (tuple, list)) else (tile_size, tile_size)
    if len(tile) != 2:
        raise ValueError(f"tile_size is {tile_size!r}, expected a number or (rows, columns)")
    for side in tile:
        _check_range("tile_size", side, 65535)
    if isinstance(predictor_modes, str):
        raise TypeError(f"predictor_modes is the string {predictor_modes!r}, expected a list")
    predictors = None if predictor_modes is None else list(predictor_modes)
    threads = check_threads(threads)
    # Files are looked for in folders by the bases that they name, and this one does not exist yet.
    bases = [file_path("base", path) for path in base_paths(base)]
    return Options((tile[0], tile[1]), predictors, threads, bool(verify), effort, bases)


def base_paths(base: Base) -> list[str]:
    """The paths of bases, and of folders that hold them."""
    if base is None:
        return []
    paths = [base] if isinstance(base, (str, os.PathLike)) else list(base)
    texts = [os.fspath(path) for path in paths]
    for path, text in zip(paths, texts):
        if not isinstance(text, str):
            raise TypeError(f"base is {path!r}, expected a path of text")
    return texts


def check_threads(threads: int | None) -> int | None:
    """Checks a number of threads."""
    if threads is not None:
        _check_range("threads", threads, 65535)
    return threads


def _check_range(name: str, value: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, expected a whole number")
    if not 1 <= value <= most:
        raise ValueError(f"{name} is {value}, expected 1 to {most}")


def any_path(name: str, path: Path) -> str:
    """The path of a file or a folder as a string."""
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"{name} is {path!r}, expected a path of text")
    return text


def file_path(name: str, path: Path) -> str:
    """The path of a file as a string; a folder is refused."""
    text = any_path(name, path)
    if os.path.isdir(text):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), text)
    return text


def check_new(path: str, overwrite: bool) -> None:
    """Refuses to replace what is there, unless that is wanted."""
    if not overwrite and os.path.lexists(path):
        text = f"{os.strerror(errno.EEXIST)} (not replaced without overwrite=True)"
        raise FileExistsError(errno.EEXIST, text, path)
