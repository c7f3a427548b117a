"""What encoding and decoding report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stats:
    """Totals of a layer or a file.

    Attributes:
        original_bytes: bytes of the original.
        coded_bytes: bytes that they take in the ``.wcodec`` file; of a whole file, everything counted.
        elements: elements, where the bytes are elements of a layer.
        blocks: blocks of the file.
        tiles: tiles of the coded blocks.
        tiles_by_predictor: tiles by the predictor that they took.
        scaled_elements: elements that are coded with scale classes.
        predicted_elements: elements whose mean or sign is predicted.
        base_elements: elements of blocks that are predicted from a base.
        base_class_elements: elements of blocks of which a plane is coded with base classes.
        copied_elements: elements of layers that are stored elsewhere in the file.
        table_bytes: bytes of frequency tables.
        map_bytes: bytes of tile maps.
        seconds: wall-clock time of the whole call; 0 for a single layer of a file.
    """

    original_bytes: int
    coded_bytes: int
    elements: int
    blocks: int
    tiles: int
    tiles_by_predictor: dict[str, int]
    scaled_elements: int
    predicted_elements: int
    base_elements: int
    base_class_elements: int
    copied_elements: int
    table_bytes: int
    map_bytes: int
    seconds: float

    @property
    def ratio(self) -> float:
        """Coded bytes by original bytes; 1 if there were none."""
        return self.coded_bytes / self.original_bytes if self.original_bytes else 1.0

    @property
    def bits_per_weight(self) -> float:
        """Coded bits by element; 0 if there were none."""
        return 8 * self.coded_bytes / self.elements if self.elements else 0.0


EncodeStats = Stats
DecodeStats = Stats
