"""Indices as NumPy has them, as spans that the reader decodes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Span = tuple[int, int, int]


@dataclass(frozen=True)
class Selection:
    """What an index selects of a shape.

    Attributes:
        spans: of each dimension the first index, how many there are, and the step, which is positive.
        shape: the shape of the result.
        flipped: dimensions of the result that are to be turned round, since their step is negative.
    """

    spans: list[Span]
    shape: tuple[int, ...]
    flipped: tuple[int, ...]

    def is_all(self, shape: Sequence[int]) -> bool:
        """Whether this is everything, in order."""
        whole = [(0, dim, 1) for dim in shape]
        return self.spans == whole and self.shape == tuple(shape) and not self.flipped


def select(key: Any, shape: Sequence[int]) -> Selection:
    """Integers, slices, ``...`` and ``None``, one of them or a tuple, mean what they do in NumPy."""
    spans: list[Span] = []
    result: list[int] = []
    flipped: list[int] = []
    for part in _expand(key, shape):
        if part is None:
            result.append(1)
            continue
        dim = shape[len(spans)]
        if isinstance(part, slice):
            indices = range(*part.indices(dim))
            if indices.step < 0:
                flipped.append(len(result))
                indices = indices[::-1]
            # The step of less than two indices is as good as any other.
            step = indices.step if len(indices) > 1 else 1
            spans.append((indices.start if len(indices) else 0, len(indices), step))
            result.append(len(indices))
        else:
            spans.append((_index(part, len(spans), dim), 1, 1))
    return Selection(spans, tuple(result), tuple(flipped))


def _expand(key: Any, shape: Sequence[int]) -> list[Any]:
    """A part for each dimension, and the new ones."""
    parts = list(key) if isinstance(key, tuple) else [key]
    given = sum(part is not None and part is not Ellipsis for part in parts)
    if given > len(shape):
        raise IndexError(f"{given} indices for a shape of {len(shape)} dimensions")
    ellipses = sum(part is Ellipsis for part in parts)
    if ellipses > 1:
        raise IndexError("an index can have one '...'")
    at = next((i for i, part in enumerate(parts) if part is Ellipsis), len(parts))
    parts[at : at + ellipses] = [slice(None)] * (len(shape) - given)
    return parts


def _index(part: Any, axis: int, dim: int) -> int:
    if isinstance(part, bool):
        raise TypeError("bool is no index here: integers, slices, '...' and None are")
    try:
        index = operator.index(part)
    except TypeError:
        name = type(part).__name__
        text = f"{name} is no index here: integers, slices, '...' and None are"
        raise TypeError(text) from None
    if not -dim <= index < dim:
        raise IndexError(f"index {index} is out of bounds for axis {axis} with size {dim}")
    return index % dim
