"""What differs between two checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import _wcodec
from ._options import Base, Path, any_path, base_paths, check_threads
from ._progress import Progress, reporting
from ._reader import Layer


@dataclass(frozen=True)
class LayerDiff:
    """A layer of B and its partner in A, or a layer that has none.

    Attributes:
        relation: what they are to each other: ``"identical"``; ``"similar"`` if the difference takes at least 0.5 % less
            than the layer alone, or no more than half of the elements differ; ``"unrelated"``; ``"other_form"`` if only
            the name is the same; ``"only_in_a"`` or ``"only_in_b"``.
        a: the layer of A, or None.
        b: the layer of B, or None.
        compared: elements that were compared; of GGUF's block types codes, of dtypes that the codec does not know bytes.
        changed: elements among them that do not have the same bits.
        bits_per_weight: about what the difference takes, in bits by element; None if nothing was compared.
        prediction: ``"difference"`` or ``"xor"``, whichever takes less; None if nothing differs.
        flipped: whether int8 is compared with uint8, shifted by 128.
        alone_bytes: about what the layer of B takes alone; 0 if there is none.
        expected_bytes: about what it takes with A as the base of B.
    """

    relation: str
    a: Layer | None
    b: Layer | None
    compared: int
    changed: int
    bits_per_weight: float | None
    prediction: str | None
    flipped: bool
    alone_bytes: int
    expected_bytes: int

    @property
    def name(self) -> str:
        """The name in B, or that in A if it is only there."""
        layer = self.b or self.a
        return layer.name if layer else ""

    @property
    def changed_share(self) -> float | None:
        """Share of the elements that differ, from 0 to 1; None if nothing was compared."""
        return self.changed / self.compared if self.compared else None


@dataclass(frozen=True)
class FileDiff:
    """Two files, or a file that only one of two folders has.

    Attributes:
        path: where it is in the folders; nothing if two files were compared.
        in_a, in_b: whether A and B have it.
        is_folder: whether it is an empty folder.
        identical: whether both have it and nothing of it differs.
        executable_same: whether both or neither may be executed.
        outside_same: whether the bytes outside of layers are the same.
        original_bytes: bytes of the original in A and in B.
        expected_bytes: about what encoding it with A as its base gives.
        layers: the layers of B in their order, then those only in A.
    """

    path: str
    in_a: bool
    in_b: bool
    is_folder: bool
    identical: bool
    executable_same: bool
    outside_same: bool
    original_bytes: tuple[int, int]
    expected_bytes: int
    layers: tuple[LayerDiff, ...]


@dataclass(frozen=True)
class Diff:
    """How two checkpoints differ.

    Attributes:
        files: of folders and archives their files in the order of their paths; else one.
        identical: whether nothing differs.
        expected_bytes: about what encoding B with A as its base gives, file by file.
        seconds: wall-clock time of the call.
    """

    files: tuple[FileDiff, ...]
    identical: bool
    expected_bytes: int
    seconds: float

    @property
    def layers(self) -> Iterator[LayerDiff]:
        """The layers of all files."""
        return (layer for file in self.files for layer in file.layers)


def diff(
    a: Path,
    b: Path,
    *,
    threads: int | None = None,
    progress: Progress = None,
    base: Base = None,
    max_size: int | None = None,
) -> Diff:
    """Compares two checkpoints layer by layer: files of any format that :func:`wcodec.encode_checkpoint` knows, or
    ``.wcodec`` files of them, whose originals then count; or two folders, file by file.

    Layers belong together by name, dtype and shape, or by what they look like; the files of folders by their paths.
    A folder may be an archive, or have ``.wcodec`` files instead of some of its files. Elements are compared bit by bit.

    Args:
        a: the file or folder to compare with.
        b: the file or folder that is compared.
        threads: one per core without it. The result does not depend on it.
        progress: True shows a bar; a function is called with the bytes done and their total.
        max_size: the largest original of a ``.wcodec`` file to accept, as in :func:`wcodec.open`.
        base: as in :func:`wcodec.open`; A and B are bases of each other anyway.

    Raises:
        OSError: a file cannot be read.
        ValueError: a folder is compared with a single file.
        WcodecError: a ``.wcodec`` file is damaged or asks for too much, or a base of it is missing.
    """
    check_threads(threads)
    first, second = any_path("a", a), any_path("b", b)
    bases = base_paths(base)
    with reporting(progress, "diff") as report:
        return _wcodec.diff(first, second, bases, threads, max_size, report)
