"""Slices mean what they do in NumPy, and decode only the blocks that they need."""

import random

import ml_dtypes
import numpy as np
import pytest
import wcodec
import wcodec.numpy
from conftest import noise, same, weights

SHAPES = [(), (0, 3), (9,), (100_000,), (700, 600), (40, 50, 30), (3, 4, 5, 6)]


def packed():
    """Codes of four bits around zero points of their groups, eight in an integer, and scales."""
    rng = np.random.default_rng(1)
    zeros = rng.integers(0, 16, (8, 1, 384))
    codes = (
        np.clip(zeros + rng.normal(0, 2.5, (8, 128, 384)), 0, 15)
        .astype(np.int32)
        .reshape(1024, 48, 8)
    )
    words = np.bitwise_or.reduce(codes << (4 * np.arange(8, dtype=np.int32)), axis=2)
    return {"m.qweight": words, "m.scales": noise(np.float16, (8, 384), 5)}


@pytest.fixture(scope="module")
def file():
    arrays = {str(shape): noise(ml_dtypes.bfloat16, shape, 5) for shape in SHAPES}
    arrays["int8"] = weights((600, 400), np.int8)
    arrays |= packed()
    reader = wcodec.Reader.from_bytes(wcodec.numpy.save(arrays))
    return arrays, reader


def bound(rng, dim):
    return rng.choice([None, rng.randrange(-dim - 2, dim + 3)])


def random_index(rng, shape):
    parts = []
    for dim in shape:
        kind = rng.randrange(6)
        if kind == 0 and dim:
            parts.append(rng.randrange(-dim, dim))
        elif kind == 1:
            step = rng.choice([-dim - 1, -3, -1, 2, 7, dim + 1])
            parts.append(slice(bound(rng, dim), bound(rng, dim), step))
        else:
            parts.append(slice(bound(rng, dim), bound(rng, dim)))
    if parts and rng.random() < 0.3:
        at = rng.randrange(len(parts))
        parts[at : at + rng.randrange(3)] = [Ellipsis]
    if rng.random() < 0.2:
        parts.insert(rng.randrange(len(parts) + 1), None)
    parts = parts[: rng.randrange(len(parts) + 1)] if rng.random() < 0.3 else parts
    return parts[0] if len(parts) == 1 and rng.random() < 0.5 else tuple(parts)


def test_random_indices_as_in_numpy(file):
    arrays, reader = file
    rng = random.Random(1)
    for name, array in arrays.items():
        for _ in range(150):
            index = random_index(rng, array.shape)
            assert same(reader.part(name, index), array[index]), (name, index)


def test_packed_codes_stay_integers(file):
    arrays, reader = file
    assert same(reader["m.qweight"], arrays["m.qweight"])
    assert reader.stats("m.qweight").ratio < 0.85


def test_indices_of_other_types(file):
    arrays, reader = file
    array = arrays["int8"]
    for index in (np.int64(3), np.s_[np.uint8(4) :], (np.int32(-1), np.int8(7)), ...):
        assert same(reader.part("int8", index), array[index])


@pytest.mark.parametrize(
    ("index", "error", "text"),
    [
        (600, IndexError, "index 600 is out of bounds for axis 0 with size 600"),
        ((0, -401), IndexError, "index -401 is out of bounds for axis 1 with size 400"),
        ((0, 0, 0), IndexError, "3 indices for a shape of 2 dimensions"),
        ((..., ...), IndexError, "an index can have one '...'"),
        ("x", TypeError, "str is no index here"),
        (1.0, TypeError, "float is no index here"),
        ([0, 1], TypeError, "list is no index here"),
        (True, TypeError, "bool is no index here"),
        (slice(None, None, 0), ValueError, "slice step cannot be zero"),
    ],
)
def test_indices_that_do_not_fit(file, index, error, text):
    with pytest.raises(error, match=text.replace("...", r"\.\.\.")):
        file[1].part("int8", index)


def test_only_the_needed_blocks_are_read(tmp_path):
    """One block is damaged; rows of the others decode all the same."""
    array = weights((4096, 256), np.int8)
    coded = bytearray(wcodec.encode_layer_numpy(array)[0])
    coded[len(coded) // 2] ^= 1
    reader = wcodec.Reader.from_bytes(bytes(coded))
    with pytest.raises(wcodec.CorruptError) as caught:
        reader["array"]
    assert caught.value.layer == "array" and caught.value.block is not None
    sound = 0
    for row in range(0, 4096, 64):
        try:
            assert same(reader.part("array", np.s_[row, 3:77]), array[row, 3:77])
            sound += 1
        except wcodec.CorruptError as error:
            assert error.block == caught.value.block
    assert 0 < sound < 64


def test_unknown_dtypes_are_cut_by_the_framework():
    array = noise(np.complex64, (6, 5))
    reader = wcodec.Reader.from_bytes(wcodec.numpy.save({"c": array}))
    assert same(reader.part("c", np.s_[1:4, ::2]), array[1:4, ::2])
