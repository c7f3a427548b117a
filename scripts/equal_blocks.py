#!/usr/bin/env python3
"""Prints how many bytes of models lie in blocks that are equal to others, though their tensors are not: what a format would save in
which blocks, not only tensors, are copies of each other. For docs/DESIGN.md.

usage: equal_blocks.py FILE...    (needs numpy and the wcodec package)

Blocks are 64 Ki elements one behind the other, 256 x 256 of a matrix, and 4 KiB. Those of one repeated element are not counted, nor
are tensors that are equal to an earlier one. "here" are blocks that occurred before in their file, "elsewhere" in a file before it.
"""

import hashlib
import math
import os
import sys
import tempfile

import numpy
import wcodec

ELEMENTS = 1 << 16
SIDE = 256
PIECE = 4096


def tensors(path):
    """Shape and bytes of each tensor."""
    with tempfile.TemporaryDirectory() as folder:
        coded = os.path.join(folder, "coded")
        wcodec.encode_checkpoint(path, coded, effort="fast", verify=False)
        with wcodec.open(coded) as reader:
            for name, layer in reader.layers.items():
                yield layer.shape, reader.raw(name).tobytes()


def blocks(shape, data):
    """The blocks of a tensor, by kind."""
    elements = math.prod(shape)
    flat = len(data) * ELEMENTS // max(elements, 1) or len(data)
    yield from (("64 Ki", data[at : at + flat]) for at in range(0, len(data), flat))
    yield from (("4 KiB", data[at : at + PIECE]) for at in range(0, len(data), PIECE))
    if len(shape) > 1 and elements and len(data) % elements == 0:
        size = len(data) // elements
        matrix = numpy.frombuffer(data, numpy.uint8).reshape(shape[0], -1)
        for row in range(0, matrix.shape[0], SIDE):
            for column in range(0, matrix.shape[1], SIDE * size):
                yield "256 x 256", matrix[row : row + SIDE, column : column + SIDE * size].tobytes()


def key(data):
    return hashlib.blake2b(data, digest_size=16).digest()


def main():
    whole, known = set(), set()
    bytes_all, found = 0, {}
    for path in sys.argv[1:]:
        of_file, of_whole = set(), set()
        for shape, data in tensors(path):
            bytes_all += len(data)
            if key(data) in whole | of_whole:
                continue
            of_whole.add(key(data))
            for kind, block in blocks(shape, data):
                if len(block) < PIECE or block[8:] == block[:-8]:
                    continue
                name = (kind, key(block))
                where = "here" if name in of_file else "elsewhere" if name in known else None
                if where:
                    found[kind, where] = found.get((kind, where), 0) + len(block)
                of_file.add(name)
        whole |= of_whole
        known |= of_file
        print(f"{path}: {bytes_all} bytes so far, equal {found}", flush=True)


if __name__ == "__main__":
    main()
