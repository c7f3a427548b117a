#!/usr/bin/env python3
"""Measures ideas that are not in the format, on real weights, and prints Markdown tables for docs/DESIGN.md.

usage: experiments.py CORPUS_FILES_DIR [--files NAME ...] [--ideas IDEA ...] [--wcodec WCODEC] [--layers N] [--sample N]
                      (NAME without its folder and ending; needs numpy; run with OMP_NUM_THREADS=1)

Ideas:
  offsets     floats: row scan, the column's scale subtracted from exponent and mantissa bits, tables by the row's scale
  bias        floats: tables by the size of the predicted mean, on top of the predicted sign of the format
  transforms  int8, uint8: lossless 8 x 8 DCT and ADST of the weights and of what the predictors of tiles leave
  planes      int8, uint8: bit by bit, with adaptive binary models

What is measured: of each file up to N layers (--layers) of at least 32,768 elements, evenly taken from their list by size, and of
each layer rows from its middle, at most about N elements (--sample), columns cut to a multiple of 16. These rows are written to a
file of their own and coded by `wcodec encode --effort max`: the columns "wcodec" are its real sizes for the same data.

What is an estimate: everything else, the column "format" too. It is this script's model of what the format does (one table, or
scale classes in both scans, means or signs by products, tiles), and the ideas are estimated by the same functions: the code
length under frequencies of 12 bits, serialised tables, factors, maps, and states, heads, alignment of each block. Where an idea's
cost is not counted its function says so, always in the idea's favour; no estimate is a bitstream. A layer's gain is that of its
best variant, in % of the smaller of wcodec and "format"; shares and savings are of the bytes of the layers measured.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

FLOATS = {"BF16": (8, 7), "F16": (5, 10), "F32": (8, 23), "F8_E4M3": (4, 3)}  # bits of exponent and mantissa
UINTS = {1: np.uint8, 2: np.uint16, 4: np.uint32}
SMALLEST = 32768  # elements of a layer
CLASSES = 64
MOST_TABLES = 24
PRODUCTS = [1, 2, 4, 8, 32]
GAIN = 0.5  # percent, from which a layer counts
SEED = 1


# Files


def layers_of(path):
    """Name, dtype, shape and bytes of each layer."""
    data = np.memmap(path, dtype=np.uint8, mode="r")
    length = int(data[:8].view("<u8")[0])
    for name, entry in json.loads(bytes(data[8 : 8 + length])).items():
        if name != "__metadata__":
            start, end = (8 + length + at for at in entry["data_offsets"])
            yield name, entry["dtype"], entry["shape"], data[start:end]


def chosen(path, most):
    """Layers of weights, evenly taken from their list by size."""
    known = [each for each in layers_of(path) if each[1] in FLOATS or each[1] in ("I8", "U8")]
    large = [each for each in known if len(each[2]) > 1 and np.prod(each[2]) >= SMALLEST and len(each[3]) < 1 << 30]
    large.sort(key=lambda each: (-len(each[3]), each[0]))
    return [large[at] for at in sorted({int(k * len(large) / most) for k in range(most)}) if at < len(large)]


def sampled(dtype, shape, data, most):
    """Rows from the middle of the layer's matrix, as unsigned integers; `None` if they are too few or too short."""
    rows, cols = shape[0], int(np.prod(shape[1:]))
    if rows < 32:
        wide = range(256, 127, -1)
        cols = next((c for c in wide if rows * cols % c == 0), 256)
        rows = int(np.prod(shape)) // cols
    if cols < 16:
        return None
    size = FLOATS[dtype][0] + FLOATS[dtype][1] + 1 >> 3 if dtype in FLOATS else 1
    matrix = np.asarray(data).view(UINTS[size])[: rows * cols].reshape(rows, cols)
    take = min(rows, max(32, most // cols)) // 32 * 32
    start = (rows - take) // 2
    return np.ascontiguousarray(matrix[start : start + take, : cols // 16 * 16])


def coded_sizes(wcodec, layers, options=()):
    """Bits of each layer, coded by wcodec as a file of these alone."""
    header, at = {}, 0
    for name, dtype, matrix in layers:
        header[name] = {"dtype": dtype, "shape": matrix.shape, "data_offsets": [at, at + matrix.nbytes]}
        at += matrix.nbytes
    text = json.dumps(header).encode()
    with tempfile.TemporaryDirectory() as folder:
        plain, coded = os.path.join(folder, "plain.safetensors"), os.path.join(folder, "coded.wcodec")
        with open(plain, "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for _, _, matrix in layers:
                file.write(matrix.tobytes())
        encode = [wcodec, "encode", "--quiet", "--force", "--no-verify", "--effort", "max", "--threads", "1"]
        subprocess.run([*encode, *options, plain, "-o", coded], check=True, stdout=subprocess.DEVNULL)
        info = subprocess.run([wcodec, "info", "--layers", "--json", coded], check=True, capture_output=True, text=True)
    return {each["name"]: 8 * each["stats"]["coded_bytes"] for each in json.loads(info.stdout)["layer_list"]}


# Prices, in bits


def table_prices(counts):
    """Of the symbols counted in each row, with a table of 12 bits of its own, serialised as in FORMAT.md section 6.2."""
    used = counts > 0
    total = counts.sum(1, keepdims=True)
    frequency = np.where(used, np.maximum(1, np.rint(counts * (4096 / np.maximum(total, 1)))), 1)
    whole = (frequency * used).sum(1, keepdims=True)
    bits = np.log2(frequency)
    data = (counts * (np.log2(np.maximum(whole, 1)) - bits)).sum(1)
    width = np.where(used, np.floor(bits) + 1, 0)
    inside = (np.cumsum(used, 1) > 0) & (np.cumsum(used[:, ::-1], 1)[:, ::-1] > 0)
    step = np.abs(np.diff(width, axis=1, prepend=0))
    table = np.where(step == 0, 1, np.where(step == 1, 3, 6)) + np.maximum(width - 1, 0)
    return data + (inside * table).sum(1) + 8 + 2 * np.log2(counts.shape[1])


def prices(counts, most=64):
    """The same with the best number of low bits left alone, so that a table has at most `most` symbols."""
    best = np.full(len(counts), np.inf)
    for low in range(min(9, counts.shape[1].bit_length() - 1)):
        joined = counts.reshape(len(counts), counts.shape[1] >> low, 1 << low).sum(2)
        fits = (joined > 0).sum(1) <= most
        if fits.any():
            price = table_prices(joined) + low * joined.sum(1)
            best = np.where(fits, np.minimum(best, price), best)
    return best


def merged(counts):
    """With neighbouring rows merged while tables cost more than they save, and to at most 24."""
    groups = counts[counts.sum(1) > 0]
    price, pairs = prices(groups), prices(groups[:-1] + groups[1:])
    while len(groups) > 1:
        saved = price[:-1] + price[1:] - pairs
        saved[np.isnan(saved)] = 0
        at = int(np.argmax(saved))
        if saved[at] < 0 and len(groups) <= MOST_TABLES:
            break
        groups[at] += groups[at + 1]
        groups = np.delete(groups, at + 1, 0)
        price, pairs = np.delete(price, at + 1), np.delete(pairs, at)
        near = [k for k in (at - 1, at) if 0 <= k < len(groups) - 1]
        found = prices(np.concatenate([groups[at : at + 1], *(groups[k : k + 1] + groups[k + 1 : k + 2] for k in near)]))
        price[at], pairs[near] = found[0], found[1:]
    return float(price.sum()) + CLASSES


def counted(keys, symbols, width, most=CLASSES):
    """How often each symbol comes with each key."""
    joint = (keys.astype(np.int32) << width) + symbols
    return np.bincount(joint.ravel(), minlength=most << width).reshape(most, -1)


def list_price(numbers):
    """Of factors, each a byte, as lists of FORMAT.md section 9.2."""
    lanes = 32 if len(numbers) >= 4096 else 1
    return float(table_prices(np.bincount(numbers, minlength=256)[None])[0]) + 32 + 32 * lanes


def block_sides(rows, cols, size):
    """Rows and columns of a block, as the encoder cuts a layer."""

    def up(a, b):
        return -(-a // b)

    def even(length, target):
        parts = max((length + target // 2) // target, 1)
        return length if parts == 1 else up(up(length, parts), 32) * 32

    symbols = min(max(rows * cols // 4, 1 << 16), min(1 << 18, (1 << 20) // size))
    side = int(symbols**0.5)
    wide = even(cols, max(symbols // rows, 1) if rows < side else side)
    high = even(rows, up(symbols // min(wide, side), 32) * 32)
    return high, wide


def block_price(blocks, elements):
    """Heads, alignment, states and entries of the block table, and what the low bound of states costs (0.004 bit)."""
    return 8 * blocks * (128 + 24 + 32 + 40) + 0.004 * elements


# Scale and mean


def scale_factors(magnitude):
    """Factors of rows and columns in quarter octaves, by alternating means; the last time without outliers."""
    row, col = np.ones(magnitude.shape[0], np.float32), np.ones(magnitude.shape[1], np.float32)
    for last in (False, True):
        for axis, scale in ((0, col), (1, row)):
            left = magnitude / row[:, None] / col[None]
            scale *= np.maximum((np.minimum(left, 6) if last else left).mean(axis), 1e-20)
    return quarter_octaves(row), quarter_octaves(col)


def quarter_octaves(scale):
    log = np.rint(4 * np.log2(scale)).astype(int)
    return np.maximum(log - max(log.min(), log.max() - 63), 0)


class Scales:
    """Scale factors of a matrix, and the classes of its elements."""

    def __init__(self, magnitude, size):
        self.shape = magnitude.shape
        self.rows, self.cols = scale_factors(magnitude)
        self.bits = list_price(self.rows) + list_price(self.cols)
        self.band, self.wide = block_sides(*self.shape, size)
        self.across = -(-self.shape[1] // self.wide)
        self.blocks = -(-self.shape[0] // self.band) * self.across

    def strips(self):
        """For each row the mean of its strip: 32 rows of a block sorted by factor."""
        mean = np.empty(self.shape[0], int)
        for start in range(0, self.shape[0], self.band):
            order = start + np.argsort(self.rows[start : start + self.band], kind="stable")
            for at in range(0, len(order), 32):
                strip = order[at : at + 32]
                mean[strip] = (2 * self.rows[strip].sum() + len(strip)) // (2 * len(strip))
        return mean

    def sums(self, column):
        """The sum of factors of each element's step, in the column scan or in the row scan."""
        if column:
            return self.strips()[:, None] + self.cols[None]
        parts = np.split(self.cols, range(32, self.shape[1], 32))
        cols = np.concatenate([np.full(len(part), int(part.mean() + 0.5)) for part in parts])
        return self.rows[:, None] + cols[None]

    def classes(self, column):
        lowest = max(self.rows.max() + self.cols.max() - 63, 0)
        return np.clip(self.sums(column) - lowest, 0, CLASSES - 1).astype(np.int32)

    def block_numbers(self):
        """The block of each element."""
        return (np.arange(self.shape[0])[:, None] // self.band) * self.across + np.arange(self.shape[1])[None] // self.wide

    def spread(self):
        return np.exp2(self.rows / 4).astype(np.float32), np.exp2(self.cols / 4).astype(np.float32)


def products(weights, scales, most):
    """Leading singular vectors of the matrix divided by its scales, times them, rounded to 8 bits: `most` pairs and their price.

    Subspace iteration from random columns (Halko, Martinsson, Tropp, Finding structure with randomness, SIAM Review 53(2), 2011).
    """
    row, col = scales.spread()
    matrix = weights / row[:, None] / col[None]
    limit = 6 * np.abs(matrix).mean()
    np.clip(matrix, -limit, limit, out=matrix)
    most = min(most, *matrix.shape)
    basis = matrix @ np.random.default_rng(SEED).standard_normal((matrix.shape[1], min(most + 4, *matrix.shape)), np.float32)
    for _ in range(2):
        basis = matrix @ (matrix.T @ np.linalg.qr(basis)[0])
    basis = np.linalg.qr(basis)[0]
    left, values, right = np.linalg.svd(basis.T @ matrix, full_matrices=False)
    pairs = []
    for k in range(most):
        (a, a_unit), (b, b_unit) = rounded((basis @ left[:, k]) * row), rounded(right[k] * col)
        price = list_price(a.astype(int) + 128) + list_price(b.astype(int) + 128) + 8
        pairs.append((a, b * (values[k] * a_unit * b_unit), price))
    return pairs


def rounded(vector):
    unit = max(float(np.abs(vector).max()) / 127, 1e-30)
    return np.rint(vector / unit).astype(np.float32), unit


def prediction(pairs, shape):
    total = np.zeros(shape, np.float32)
    for a, b, _ in pairs:
        total += a[:, None] * b[None]
    return total, sum(price for _, _, price in pairs)


def scanned(symbols, scales, width):
    """Price under the best of one table and classes in both scans, without what all have in common."""
    one = float(prices(np.bincount(symbols.ravel(), minlength=1 << width)[None], 256)[0])
    return min(one, *(merged(counted(scales.classes(column), symbols, width)) + scales.bits for column in (True, False)))


# Floats


class Floats:
    """Weights of floats, with their sign apart, and their scales."""

    def __init__(self, dtype, matrix):
        self.exponent, self.mantissa = FLOATS[dtype]
        bits = matrix.astype(np.uint32)
        self.sign = (bits >> (self.exponent + self.mantissa)).astype(np.int32)
        self.rest = (bits & ((1 << (self.exponent + self.mantissa)) - 1)).astype(np.int32)
        self.weights = self.values(dtype, matrix)
        self.scales = Scales(np.abs(self.weights), matrix.itemsize)
        self.common = block_price(self.scales.blocks, matrix.size)

    def values(self, dtype, matrix):
        """As floats of 32 bits; what is no number, or beyond 10^30, as 0."""
        if dtype == "F16":
            found = matrix.view(np.float16).astype(np.float32)
        elif dtype == "F8_E4M3":
            part = self.rest & 7
            found = np.where(self.rest < 8, part, (part + 8.0) * np.exp2((self.rest >> 3) - 1.0)) * (1 - 2 * self.sign)
        else:
            found = (matrix.astype(np.uint32) << (16 if dtype == "BF16" else 0)).view(np.float32)
        return np.where(np.abs(found) < 1e30, found, 0).astype(np.float32)

    def splits(self, signed):
        """Bits of the mantissa that the symbol may have: 2, and what fits 12 bits (with the sign)."""
        return sorted({2, min(self.mantissa, 12 - signed - self.exponent)})

    def high(self, bits):
        """Exponent and the highest bits of the mantissa."""
        return self.rest >> (self.mantissa - bits)

    def low_price(self, bits, signed):
        """Of the mantissa below and, if it is there, the sign as its lowest bit: planes of up to 8 bits, raw or with a table."""
        left, total = self.mantissa - bits, 0.0
        low = self.rest & ((1 << left) - 1)
        if signed:
            low, left = (low << 1) | self.sign, left + 1
        while left > 0:
            take = left % 8 or 8
            left -= take
            counts = np.bincount(((low >> left) & ((1 << take) - 1)).ravel(), minlength=1 << take)[None]
            total += min(take * low.size, float(table_prices(counts)[0]) + 1024 * self.scales.blocks)
        return total


def smallest(*measured):
    """The smallest of each variant."""
    return {name: min(each[name] for each in measured) for name in measured[0]}


def measure_offsets(floats):
    """The format without signs, against exponents with the scale of the column (or of the step) taken off."""
    return smallest(*(offsets_of_split(floats, bits) for bits in floats.splits(0)))


def offsets_of_split(floats, bits):
    scales, symbols, width = floats.scales, floats.high(bits), floats.exponent + bits
    mask, quarter = (1 << width) - 1, 1 << (bits - 2)
    rows = np.broadcast_to(scales.rows[:, None], scales.shape)
    by_row = lambda offset: merged(counted(rows, (symbols - offset * quarter) & mask, width)) + scales.bits
    sums = scales.sums(True)
    of_step = counted(sums & 3, (symbols - sums // 4 * 4 * quarter) & mask, width, 4)
    found = {
        "format": scanned(symbols, scales, width),
        "quarter octaves": by_row(scales.cols[None]),
        "octaves": by_row(scales.cols[None] // 4 * 4),
        "column scan, octaves, 4 phases": float(prices(of_step).sum()) + scales.bits,
    }
    return {name: floats.common + floats.low_price(bits, True) + price for name, price in found.items()}


def measure_bias(floats):
    """The format with and without signs, against tables (or models of the sign) by the size of the prediction.

    A table for each element of a step is not what the format's steps allow, and up to 24 tables for each size of the prediction
    are more than its decoders hold in registers and cache: both are not counted.
    """
    scales = floats.scales
    row, col = scales.spread()
    spread = row[:, None] * col[None]
    scaled = np.abs(floats.weights) / spread
    unit = float(scaled.mean()) + 1e-30
    size = np.minimum((scaled * (4 / unit)).astype(np.int32), 15)
    # The split that is best without signs is kept.
    high = [scanned(floats.high(bits), scales, floats.exponent + bits) for bits in floats.splits(0)]
    plain, at = min((price + floats.low_price(bits, True), at) for at, (price, bits) in enumerate(zip(high, floats.splits(0))))
    apart = high[at] + floats.low_price(floats.splits(0)[at], False)
    found = [{"format": plain, "tables": plain, "sign apart": plain}]
    pairs = products(floats.weights, scales, max(PRODUCTS))
    for k in PRODUCTS:
        mean, price = prediction(pairs[:k], scales.shape)
        sign = floats.sign ^ (mean < 0)
        bias = np.digitize(np.abs(mean) / (spread * unit), [0.1, 0.25, 0.5, 1, 2]).astype(np.int32)
        signed, tables = signs_of_split(floats, floats.splits(1)[at], sign, bias)
        alone = apart + adaptive(bias * 16 + size, sign)
        found.append({"format": signed + price, "tables": tables + price, "sign apart": alone + price})
    return {name: floats.common + price for name, price in smallest(*found).items()}


def signs_of_split(floats, bits, sign, bias):
    """Price of the format's symbols of exponent, sign and mantissa, and with tables by class and size of the prediction."""
    high, width = floats.high(bits), floats.exponent + 1 + bits
    symbols = (((high >> bits << 1) | sign) << bits) | (high & ((1 << bits) - 1))
    counts = counted(bias * CLASSES + floats.scales.classes(True), symbols, width, 6 * CLASSES).reshape(6, CLASSES, -1)
    tables = sum(merged(part) for part in counts if part.any()) + floats.scales.bits
    below = floats.low_price(bits, False)
    return scanned(symbols, floats.scales, width) + below, tables + below


# Integers


class Integers:
    """Bytes around their zero, as 0 to 255, what is left under the best mean, and the estimate of the format."""

    def __init__(self, dtype, matrix):
        codes = matrix.astype(np.int32)
        codes = codes.astype(np.uint8).view(np.int8).astype(np.int32) if dtype == "I8" else codes - int(codes.mean() + 0.5)
        weights = codes.astype(np.float32)
        self.scales = Scales(np.abs(weights), 1)
        self.common = block_price(self.scales.blocks, codes.size)
        self.values, self.mean_price = (codes + 128) & 255, 0.0
        best = self.scan_price = scanned(self.values, self.scales, 8)
        pairs = products(weights, self.scales, 32)
        for k in (1, 4, 12, 32):
            mean, price = prediction(pairs[:k], codes.shape)
            values = (codes - np.rint(mean).astype(np.int32) + 128) & 255
            found = scanned(values, self.scales, 8)
            if found + price < best:
                best, self.scan_price = found + price, found
                self.values, self.mean_price = values, price
        residuals = np.stack([join(tiles) for tiles in predicted(self.values, 16)])
        tiled = tiles_price(residuals, self.scales)
        self.format = self.common + self.mean_price + min(self.scan_price, tiled)


def cut(matrix, side):
    """Tiles of a matrix: their row, their column, and their rows and columns."""
    rows, cols = matrix.shape
    return matrix.reshape(rows // side, side, cols // side, side).transpose(0, 2, 1, 3)


def join(tiles):
    down, across, side, _ = tiles.shape
    return tiles.transpose(0, 2, 1, 3).reshape(down * side, across * side)


def predicted(values, side):
    """Residuals, -128 to 127, of all tiles under NONE, LEFT, TOP, AVG and PLANAR of FORMAT.md section 8."""
    tiles = cut(values, side)
    left, top = np.zeros(tiles.shape[:3], np.int32), np.zeros(tiles.shape[:3], np.int32)
    left[:, 1:] = tiles[:, :-1, :, -1]
    top[1:] = tiles[:-1, :, -1, :]
    left[:, 0], top[0] = top[:, 0, :1], left[0, :, :1]
    left[0, 0] = top[0, 0] = 128
    left[1:, 0], top[0, 1:] = top[1:, 0, :1], left[0, 1:, :1]
    left, top = left[..., :, None], top[..., None, :]
    i, j = np.arange(side)[:, None], np.arange(side)[None]
    guesses = [128, left, top, (left + top) // 2, ((i + 1) * left + (j + 1) * top + (i + j + 2) // 2) // (i + j + 2)]
    return [((tiles - guess + 128) & 255) - 128 for guess in guesses]


def tiles_price(residuals, scales):
    """Each tile of 16 x 16 with its cheapest predictor, found in three rounds; tables by class."""
    choice = cheapest([np.log2(1 + np.abs(cut(each, 16))).sum((2, 3)) * 1.2 for each in residuals])
    for _ in range(2):
        counts = np.bincount(pick(residuals, choice, 16).ravel() + 128, minlength=256) + 0.5
        length = np.log2(counts.sum() / counts)
        choice = cheapest([length[cut(each, 16) + 128].sum((2, 3)) for each in residuals])
    if not choice.any():
        return np.inf
    return scanned(pick(residuals, choice, 16) + 128, scales, 8) + map_price(choice)


def cheapest(costs):
    """The predictor of each tile; others than NONE must save some bits."""
    costs = np.stack(costs)
    costs[1:] += 4
    return costs.argmin(0)


def pick(residuals, choice, side):
    each = np.repeat(np.repeat(choice, side, 0), side, 1)
    return np.take_along_axis(np.asarray(residuals), each[None], 0)[0]


def map_price(choice):
    return float(table_prices(np.bincount(choice.ravel(), minlength=8)[None])[0]) + 32 if choice.any() else 0.0


# Transforms


def cosine():
    """The orthonormal DCT-II of 8 points."""
    k, n = np.arange(8)[:, None], np.arange(8)[None]
    return np.cos(np.pi * k * (2 * n + 1) / 16) * np.where(k > 0, 0.5, 0.125**0.5)


def sine():
    """The orthonormal ADST (DST-VII) of 8 points (Han, Saxena, Rose, Towards jointly optimal spatial prediction and adaptive
    transform in video/image coding, ICASSP 2010)."""
    k, n = np.arange(8)[:, None], np.arange(8)[None]
    return 2 / 17**0.5 * np.sin(np.pi * (2 * k + 1) * (n + 1) / 17)


class Lifting:
    """A reversible integer transform near an orthogonal matrix: A = P L U S with unit triangles L and U, and S the identity but for
    its last row. Each factor is a ladder of lifting steps: an element plus a rounded sum of others, undone by subtraction.

    Hao, Shi, Matrix factorizations for reversible integer mapping, IEEE Trans. Signal Processing 49(10), 2001. Columns are taken
    in the order, of 500 random ones, whose rounding makes the least noise. Coefficients have 14 bits behind the point.
    """

    POINT = 14

    def __init__(self, matrix):
        rng = np.random.default_rng(SEED)
        found = [self.factored(matrix, rng.permutation(8)) for _ in range(500)]
        self.noise, self.columns, self.order, lower, upper, last, self.flip = min(found, key=lambda each: each[0])
        whole = lambda factor: np.rint(factor * (1 << self.POINT)).astype(int)
        self.lower, self.upper, self.last = whole(lower), whole(upper), whole(last)

    @staticmethod
    def factored(matrix, columns):
        work, size = matrix[:, columns].copy(), len(matrix)
        order, lower, last = np.arange(size), np.zeros((size, size)), np.zeros(size)
        for k in range(size - 1):
            rest = np.where(np.abs(work[k:, -1]) > 1e-9, work[k:, -1], 1e-9)
            pivot = k + int(np.argmin(np.abs((work[k:, k] - 1) / rest)))
            for each in (work, order, lower):
                each[[k, pivot]] = each[[pivot, k]]
            if abs(work[k, -1]) < 1e-6:
                return (np.inf,) * 7
            last[k] = (work[k, k] - 1) / work[k, -1]
            work[:, k] -= last[k] * work[:, -1]
            lower[k + 1 :, k] = work[k + 1 :, k]
            work[k + 1 :] -= lower[k + 1 :, k, None] * work[k]
        flip = work[-1, -1] < 0
        upper = np.triu(work, 1)
        full = np.eye(size) + lower
        first = full @ (work[:, -1])
        noise = ((first**2).sum() + (full[:, :-1] ** 2).sum() + size - 1) / 12 / size
        return noise, columns, order, lower, upper, last, flip

    def sum(self, weights, values):
        """The rounded sum of weighted elements."""
        total = 1 << (self.POINT - 1)
        for weight, value in zip(weights, values):
            if weight:
                total = total + weight * value
        return total >> self.POINT

    def forward(self, values):
        """Of 8 arrays."""
        x = [values[column] for column in self.columns]
        x[7] = x[7] + self.sum(self.last, x)
        for i in range(7):
            x[i] = x[i] + self.sum(self.upper[i], x)
        if self.flip:
            x[7] = -x[7]
        for i in range(7, 0, -1):
            x[i] = x[i] + self.sum(self.lower[i], x)
        return [x[int(np.flatnonzero(self.order == k)[0])] for k in range(8)]

    def inverse(self, values):
        x = [values[row] for row in self.order]
        for i in range(1, 8):
            x[i] = x[i] - self.sum(self.lower[i], x)
        if self.flip:
            x[7] = -x[7]
        for i in range(6, -1, -1):
            x[i] = x[i] - self.sum(self.upper[i], x)
        x[7] = x[7] - self.sum(self.last, x)
        return [x[int(np.flatnonzero(self.columns == k)[0])] for k in range(8)]

    def tiles(self, tiles):
        """Rows and columns of 8 x 8 tiles; checked to come back."""
        rows = np.stack(self.forward(list(np.moveaxis(tiles, -1, 0))), -1)
        found = np.stack(self.forward(list(np.moveaxis(rows, -2, 0))), -2)
        back = np.stack(self.inverse(list(np.moveaxis(found, -2, 0))), -2)
        back = np.stack(self.inverse(list(np.moveaxis(back, -1, 0))), -1)
        assert (back == tiles).all(), "a transform that does not come back"
        return found


def coefficients_price(tiles, scales):
    """Tables by position, or by position and scale of the tile, both put together by their spread in half octaves."""
    symbols = np.clip(tiles + 2048, 0, 4095)
    position = np.broadcast_to(np.arange(64).reshape(8, 8), tiles.shape)
    scale = cut(scales.sums(True), 8).mean((2, 3)).astype(int) // 2
    tables = [(position, 64, 0.0), (position + 64 * scale[..., None, None], 64 * CLASSES, scales.bits)]
    return min(spread_price(symbols, *each) for each in tables)


def spread_price(symbols, cells, most, price):
    count = np.bincount(cells.ravel(), minlength=most)
    energy = np.bincount(cells.ravel(), (symbols.ravel() - 2048.0) ** 2, minlength=most)
    spread = np.rint(2 * np.log2(energy / np.maximum(count, 1) + 1e-3)).astype(int)
    spread -= spread[count > 0].min()
    counts = counted(np.clip(spread, 0, CLASSES - 1)[cells], symbols, 12)
    return merged(counts) + price + 5 * int((count > 0).sum())


def measure_transforms(integers, liftings):
    """DCT and ADST of all tiles, and of each tile's residuals under the predictor with the fewest bits of coefficients."""
    scales = integers.scales
    base = integers.common + integers.mean_price
    residuals = predicted(integers.values, 8)
    found = {"format": integers.format}
    for name, lifting in liftings.items():
        spectra = [lifting.tiles(each.astype(np.int32)) for each in residuals]
        choice = cheapest([np.log2(1 + np.abs(each)).sum((2, 3)) for each in spectra])
        best = np.take_along_axis(np.stack(spectra), choice[None, :, :, None, None], 0)[0]
        found[name] = base + coefficients_price(spectra[0], scales)
        found[name + ", tiles predicted"] = base + coefficients_price(best, scales) + map_price(choice)
    return found


# Bit planes


def log_gamma(x):
    """Stirling's series, behind 8 steps of the recurrence."""
    shift = sum(np.log(x + k) for k in range(8))
    y = x + 8
    return (y - 0.5) * np.log(y) - y + 0.5 * np.log(2 * np.pi) + 1 / (12 * y) - 1 / (360 * y**3) - shift


def adaptive(contexts, bits):
    """Code length of bits under a model for each context that learns as it goes, exactly and whatever the order.

    Krichevsky, Trofimov, The performance of universal encoding, IEEE Trans. Information Theory 27(2), 1981.
    """
    counts = np.bincount((contexts.astype(np.int64) * 2 + bits).ravel())
    counts = np.append(counts, np.zeros(len(counts) % 2)).reshape(-1, 2)
    counts = counts[counts.sum(1) > 0]
    parts = log_gamma(counts + 0.5).sum(1) - log_gamma(counts.sum(1) + 1) - np.log(np.pi)
    return float(-parts.sum() / np.log(2))


def planes_price(symbols, width, start):
    """All bits from the highest: contexts are `start`, the bits above, and the same bits of the left and upper neighbour."""
    alone = beside = 0.0
    left, top = np.zeros_like(symbols), np.zeros_like(symbols)
    left[:, 1:], top[1:] = symbols[:, :-1], symbols[:-1]
    for plane in range(width - 1, -1, -1):
        above = (symbols >> (plane + 1)) | (1 << (width - 1 - plane))
        context = (start << width) + above
        bits = (symbols >> plane) & 1
        near = ((left >> plane) & 1) * 2 + ((top >> plane) & 1)
        alone += adaptive(context, bits)
        beside += adaptive(context * 4 + near, bits)
    return np.array([alone, beside])


def measure_planes(integers):
    """Models begin anew in each block, since blocks are decoded alone. None, 8 or 22 of the classes of the column scan are a
    context as well; the neighbours may lie in another block, which is in favour of the idea."""
    scales = integers.scales
    base = integers.common + integers.mean_price
    signed = integers.values - 128
    codes = {"offset binary": (integers.values, 8), "sign-magnitude": ((np.abs(signed) << 1) | (signed < 0), 9)}
    blocks, classes = scales.block_numbers().astype(np.int64) * 22, scales.classes(True)
    found = {"format": integers.format}
    for name, (symbols, width) in codes.items():
        by_class = [planes_price(symbols, width, blocks + classes // step) + scales.bits for step in (8, 3)]
        alone, beside = np.minimum.reduce([planes_price(symbols, width, blocks), *by_class])
        found[name], found[name + ", neighbours"] = base + alone, base + beside
    found["no planes, tables by class and left"] = base + left_price(integers)
    return found


def left_price(integers):
    """Not bit planes, but whole symbols with tables by class and by how large, for its scale, the weight to the left is: tells how
    much of what neighbours bring is due to planes. A table for each element is not what steps allow, which is not counted."""
    scales = integers.scales
    row, col = scales.spread()
    scaled = np.abs(integers.values - 128) / (row[:, None] * col[None])
    size = np.zeros(scales.shape, np.int32)
    size[:, 1:] = np.digitize(scaled[:, :-1] / (scaled.mean() + 1e-30), [0.3, 0.7, 1.2, 2])
    counts = counted(size * CLASSES + scales.classes(True), integers.values, 8, 5 * CLASSES).reshape(5, CLASSES, -1)
    return sum(merged(part) for part in counts if part.any()) + scales.bits


# Tables


IDEAS = {"offsets": True, "bias": True, "transforms": False, "planes": False}  # whether of floats
TITLES = {
    "offsets": "Column offsets of exponents, row scan (against the format without predicted signs)",
    "bias": "Bias classes on top of predicted signs",
    "transforms": "Lossless 8 x 8 transforms",
    "planes": "Bit planes with adaptive binary models",
}


def measure(dtype, matrix, ideas, liftings):
    """Bits of each variant of each idea for this layer."""
    if dtype in FLOATS:
        floats = Floats(dtype, matrix)
        found = {"offsets": measure_offsets, "bias": measure_bias}
        return {idea: found[idea](floats) for idea in ideas if IDEAS[idea]}
    integers = Integers(dtype, matrix)
    found = {"transforms": lambda: measure_transforms(integers, liftings), "planes": lambda: measure_planes(integers)}
    return {idea: found[idea]() for idea in ideas if not IDEAS[idea]}


def measure_file(options, file, liftings):
    """Idea, layer, bits of the original, of wcodec and of each variant, and the layer's bytes in the file."""
    path = os.path.join(options.corpus, file + ".safetensors")
    layers = []
    for name, dtype, shape, data in chosen(path, options.layers):
        matrix = sampled(dtype, shape, data, options.sample)
        if matrix is not None and matrix.size >= 1024 and any(IDEAS[idea] == (dtype in FLOATS) for idea in options.ideas):
            layers.append((name, dtype, matrix, len(data)))
    if not layers:
        return []
    samples = [each[:3] for each in layers]
    wcodec = coded_sizes(options.wcodec, samples)
    unsigned = coded_sizes(options.wcodec, samples, ["--products", "0"]) if "offsets" in options.ideas else {}
    rows = []
    for name, dtype, matrix, length in layers:
        for idea, variants in measure(dtype, matrix, options.ideas, liftings).items():
            real = (unsigned if idea == "offsets" else wcodec)[name]
            rows.append((idea, file, f"{name} {dtype}", length, 8 * matrix.nbytes, real, variants))
    return rows


def gain(row, variant=None):
    """Percent that the best variant, or this one, is below the smaller of both baselines."""
    *_, real, variants = row
    best = min(bits for name, bits in variants.items() if name != "format") if variant is None else variants[variant]
    base = min(real, variants["format"])
    return 100 * (1 - best / base)


def saved(rows):
    """Percent of the coded bytes of all these layers that those that gain save, each with its best variant."""
    coded = [(row[3] / row[4] * min(row[5], row[6]["format"]), gain(row)) for row in rows]
    return sum(size * percent for size, percent in coded if percent >= GAIN) / sum(size for size, _ in coded)


def print_idea(idea, rows):
    variants = list(rows[0][-1])
    print(f"\n### {TITLES[idea]}\n\nSizes in % of the original.\n")
    columns = ["file", "layers", "wcodec", *variants, f"layers that gain {GAIN} %", "their share of bytes", "they save"]
    print("| " + " | ".join(columns) + " |")
    print("|---|" + "--:|" * (len(variants) + 5))
    for file in [*dict.fromkeys(row[1] for row in rows), None]:
        some = [row for row in rows if file in (None, row[1])]
        total = sum(row[4] for row in some)
        cells = [f"{100 * sum(row[5] for row in some) / total:.2f}"]
        cells += [f"{100 * sum(row[6][variant] for row in some) / total:.2f}" for variant in variants]
        good = [row for row in some if gain(row) >= GAIN]
        share = 100 * sum(row[3] for row in good) / sum(row[3] for row in some)
        print(f"| {file or 'all'} | {len(some)} | " + " | ".join(cells) + f" | {len(good)} | {share:.2f} % | {saved(some):.2f} % |")
    print_best(rows, variants)


def print_best(rows, variants):
    best = sorted(rows, key=lambda row: -gain(row))
    good = sum(gain(row) >= GAIN for row in best)
    print(f"\nThe layers that gain {GAIN} % or more ({good}), or else the best three:\n")
    print("| file | layer | bytes | wcodec | format | best variant | gain |\n|---|---|--:|--:|--:|---|--:|")
    for row in best[: max(3, good)]:
        _, file, name, length, size, real, found = row
        variant = min(variants[1:], key=found.get)
        sizes = f"{100 * real / size:.2f} % | {100 * found['format'] / size:.2f} %"
        print(f"| {file} | {name} | {length} | {sizes} | {variant} | {gain(row):.2f} % |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--files", nargs="+")
    parser.add_argument("--ideas", nargs="+", choices=list(IDEAS), default=list(IDEAS))
    parser.add_argument("--wcodec", default="target/release/wcodec")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--sample", type=int, default=1 << 19)
    options = parser.parse_args()
    files = options.files or sorted(name[:-12] for name in os.listdir(options.corpus) if name.endswith(".safetensors"))
    liftings = {"DCT": Lifting(cosine()), "ADST": Lifting(sine())}
    rows = []
    for file in files:
        rows += measure_file(options, file, liftings)
        print(file, file=sys.stderr, flush=True)
    for idea in options.ideas:
        if some := [row for row in rows if row[0] == idea]:
            print_idea(idea, some)


if __name__ == "__main__":
    main()
