"""Whole files and single layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from . import _wcodec
from ._options import (
    Base,
    Data,
    Path,
    TileSize,
    any_path,
    base_paths,
    check_new,
    check_threads,
    file_path,
    options,
)
from ._progress import Progress, reporting
from ._reader import Reader
from ._stats import DecodeStats, EncodeStats


def encode_checkpoint(
    input_path: Path,
    output_path: Path,
    *,
    tile_size: TileSize = 16,
    predictor_modes: Sequence[str] | None = None,
    threads: int | None = None,
    verify: bool = True,
    progress: Progress = None,
    effort: str = "default",
    base: Base = None,
    overwrite: bool = False,
) -> EncodeStats:
    """Encodes a file: safetensors, GGUF, ONNX, PyTorch and ``.npy`` by tensor, anything else as bytes; or a folder as an
    archive, in which layers that several files have are stored once.

    The output appears under its name when it is complete, synced and verified. On Unix it has the permission bits of
    a file that it is made of. Ctrl-C leaves nothing behind.

    Args:
        input_path: the file or the folder to encode.
        output_path: the ``.wcodec`` file to write.
        tile_size: rows and columns of the tiles that share a predictor, one number or two.
        predictor_modes: predictors that tiles may take, of ``"none"``, ``"left"``, ``"top"``,
            ``"avg"`` and ``"planar"``; all without it.
        threads: one per core without it. The output does not depend on it.
        verify: decode what was written before it is kept.
        progress: True shows a bar; a function is called with the bytes done and their total.
        effort: ``"fast"``, ``"default"`` or ``"max"``: how much is tried.
        base: checkpoints that layers may be predicted from, plain or as ``.wcodec`` files: one path or several, of no
            folders. Those that are used are needed for decoding.
        overwrite: replace an existing file.

    Raises:
        FileExistsError: the output exists, and ``overwrite`` is not set.
        OSError: a file cannot be read or written.
        TypeError, ValueError: an argument does not fit.
    """
    chosen = options(tile_size, predictor_modes, threads, verify, effort, base)
    source = any_path("input_path", input_path)
    target = file_path("output_path", output_path)
    check_new(target, overwrite)
    with reporting(progress, "encode") as report:
        return _wcodec.encode_checkpoint(source, target, chosen, overwrite, report)


@overload
def decode_checkpoint(
    input_path: Path,
    output_path: None = None,
    *,
    threads: int | None = None,
    progress: Progress = None,
    base: Base = None,
    max_size: int | None = None,
) -> dict[str, NDArray[Any]]: ...


@overload
def decode_checkpoint(
    input_path: Path,
    output_path: Path,
    *,
    threads: int | None = None,
    progress: Progress = None,
    base: Base = None,
    max_size: int | None = None,
    overwrite: bool = False,
) -> DecodeStats: ...


def decode_checkpoint(
    input_path: Path,
    output_path: Path | None = None,
    *,
    threads: int | None = None,
    progress: Progress = None,
    base: Base = None,
    max_size: int | None = None,
    overwrite: bool = False,
) -> DecodeStats | dict[str, NDArray[Any]]:
    """Restores the original file or folder byte for byte, or decodes its layers into arrays.

    The output appears under its name when it is complete, checked against all hashes and synced. On Unix a file has
    the permission bits of the input. Ctrl-C leaves nothing behind.

    Args:
        input_path: the ``.wcodec`` file.
        output_path: the file to write, of an archive the folder to make. Without it a dictionary of arrays is returned.
        threads: for a file one per core without it; arrays are always decoded by the threads that
            all calls share.
        progress: True shows a bar; a function is called with the bytes done and their total.
        base, max_size: as in :func:`wcodec.open`.
        overwrite: replace an existing file, or an empty folder.

    Raises:
        FileExistsError: the output exists, and ``overwrite`` is not set.
        OSError: a file cannot be read or written.
        WcodecError: the input is damaged, not a ``.wcodec`` file, or asks for too much; a base of it is missing;
            or arrays are wanted of an original that was kept as bytes of no known structure.
    """
    check_threads(threads)
    source = file_path("input_path", input_path)
    if output_path is not None:
        target = any_path("output_path", output_path)
        check_new(target, overwrite)
        with reporting(progress, "decode") as report:
            bases = base_paths(base)
            return _wcodec.decode_checkpoint(
                source, target, bases, threads, max_size, overwrite, report
            )
    with Reader(source, base=base, max_size=max_size) as reader:
        return reader._decode_all("np", progress)


def encode_layer_numpy(
    array: NDArray[Any],
    *,
    tile_size: TileSize = 16,
    predictor_modes: Sequence[str] | None = None,
    effort: str = "default",
) -> tuple[bytes, EncodeStats]:
    """Encodes one array into the bytes of a ``.wcodec`` file that holds its dtype and shape.

    Args:
        array: an array of any dtype that the codec knows, those of ``ml_dtypes`` too, and of any
            memory layout.
        tile_size, predictor_modes, effort: as in :func:`encode_checkpoint`.

    Raises:
        TypeError, ValueError: the array has a dtype that the codec does not know, or an argument does
            not fit.
    """
    from .numpy import dtype_code, memory_of

    chosen = options(tile_size, predictor_modes, None, True, effort)
    array = np.asarray(array)
    code = dtype_code(array, "array")
    return _wcodec.encode_layer("array", code, array.shape, memory_of(array), chosen)


def decode_layer_numpy(data: Data) -> NDArray[Any]:
    """Decodes what :func:`encode_layer_numpy` made.

    Raises:
        WcodecError: the data is damaged.
        ValueError: it holds more than one layer, or none.
    """
    with Reader.from_bytes(data) as reader:
        if len(reader) != 1:
            raise ValueError(f"data holds {len(reader)} layers, expected 1")
        return next(iter(reader.values()))
