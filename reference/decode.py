#!/usr/bin/env python3
"""Reference decoder of the .wcodec format, written from docs/FORMAT.md alone.

It exists to disagree: it shares no code with the library, prefers plain statements to speed, and
refuses what the text tells a reader to refuse. Needs numpy, zstandard, xxhash and blake3.

usage: decode.py FILE.wcodec OUTPUT [BASE ...]    (OUTPUT - writes to standard output; of an archive, the
       files one behind the other)
"""

import struct
import sys

import blake3
import numpy
import xxhash
import zstandard

HEADER_MAGIC = bytes.fromhex("8957434f440d0a1a")
FOOTER_MAGIC = bytes.fromhex("57434f44454e440a")
#        name, size, transform
TYPES = [
    ("BYTES", 1, "identity"), ("BOOL", 1, "identity"), ("U8", 1, "identity"), ("I8", 1, "flip"),
    ("F8_E4M3", 1, "rotate"), ("F8_E5M2", 1, "rotate"), ("F16", 2, "rotate"), ("BF16", 2, "rotate"),
    ("U16", 2, "identity"), ("I16", 2, "flip"), ("F32", 4, "rotate"), ("U32", 4, "identity"),
    ("I32", 4, "flip"), ("F64", 8, "rotate"), ("U64", 8, "identity"), ("I64", 8, "flip"),
]
SIZES = {name: size for name, size, _ in TYPES[1:]}
MANTISSA = {"F8_E4M3": 3, "F8_E5M2": 2, "F16": 10, "BF16": 7, "F32": 23, "F64": 52}
RAW, CONSTANT, CODED, ZSTD, SIDE = range(5)
OWN = 255  # a reference to the original itself


class Refused(Exception):
    """The file breaks a rule of the format."""


def require(condition, text):
    if not condition:
        raise Refused(text)


def take(data, at, length):
    require(0 <= at and at + length <= len(data), "fields end early")
    return data[at : at + length]


def align(number, to):
    return -(-number // to) * to


def ceil_div(a, b):
    return -(-a // b)


def unzstd(frame, length):
    try:
        # One frame, exactly; the library refuses more than the declared bytes as well.
        decoder = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
        out = decoder.decompress(frame)
        require(decoder.eof and not decoder.unused_data, "zstd frame is not alone")
    except zstandard.ZstdError as error:
        raise Refused(f"zstd: {error}") from error
    require(len(out) == length, "zstd frame has another length")
    return out


# --- bit strings and tables (sections 1, 6) ---------------------------------------------------


class Bits:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        value = 0
        for k in range(count):
            require(self.at // 8 < len(self.data), "table ends early")
            value |= (self.data[self.at // 8] >> self.at % 8 & 1) << k
            self.at += 1
        return value


def read_table(data, width):
    """Returns (symbols, frequencies, bytes used)."""
    bits = Bits(data)
    lowest = bits.take(width)
    highest = lowest + bits.take(width)
    require(highest < 1 << width, "table reaches too far")
    symbols, frequencies, before = [], [], 9
    for symbol in range(lowest, highest + 1):
        if bits.take(1) == 0:
            clas = before
        elif bits.take(1) == 0:
            clas = before + (1 if bits.take(1) == 0 else -1)
        else:
            clas = bits.take(4)
            require(abs(clas - before) > 1, "class not in short form")
        require(0 <= clas <= 13, "class out of range")
        if clas:
            symbols.append(symbol)
            frequencies.append((1 << clas - 1) + bits.take(clas - 1))
        else:
            require(symbol not in (lowest, highest), "table begins or ends with frequency 0")
        before = clas
    require(bits.take(-bits.at % 8) == 0, "table padding")
    require(sum(frequencies) == 4096 and len(symbols) <= 256, "frequencies")
    return symbols, frequencies, bits.at // 8


def slots(frequencies):
    """The (rank, position) of each slot."""
    if len(frequencies) > 64:
        return [(rank, q) for rank, f in enumerate(frequencies) for q in range(f)]
    left = frequencies + [0] * (64 - len(frequencies))
    cut, alias, shift = list(left), list(range(64)), [0] * 64
    under = [k for k in range(64) if left[k] < 64]
    over = [k for k in range(64) if left[k] > 64]
    while under and over:
        u, o = under.pop(), over[-1]
        cut[u] = left[u]
        left[o] -= 64 - cut[u]
        alias[u], shift[u] = o, left[o] - cut[u]
        if left[o] <= 64:
            over.pop()
            if left[o] < 64:
                under.append(o)
            else:
                cut[o] = 64
    return [
        (k, t) if t < cut[k] else (alias[k], t + shift[k]) for k in range(64) for t in range(64)
    ]


# --- entropy decoding (section 7) -------------------------------------------------------------


def decode_stream(stream, tables, lanes, steps):
    """Symbols of a stream. `steps` lists the lanes that each step uses, `tables` the table of each."""
    require(len(stream) % 2 == 0 and len(stream) >= 4 * lanes, "stream length")
    states = list(struct.unpack_from(f"<{lanes}I", stream))
    require(all(1 << 12 <= x < 1 << 28 for x in states), "state")
    words = struct.unpack_from(f"<{(len(stream) - 4 * lanes) // 2}H", stream, 4 * lanes)
    of_slots, out, at = {}, [], 0
    for active, (symbols, frequencies) in zip(steps, tables):
        if id(frequencies) not in of_slots:
            of_slots[id(frequencies)] = slots(frequencies)
        of_slot = of_slots[id(frequencies)]
        for lane in range(active):
            x = states[lane]
            rank, position = of_slot[x % 4096]
            x = frequencies[rank] * (x // 4096) + position
            if x < 4096:
                require(at < len(words), "stream ends early")
                x = 65536 * x + words[at]
                at += 1
            states[lane] = x
            out.append(symbols[rank])
    require(at == len(words), "words left over")
    require(all(x == 4096 for x in states), "final state")
    return out


def linear_steps(count, most):
    lanes = min(most, count)
    return lanes, [lanes] * (count // lanes) + ([count % lanes] if count % lanes else [])


def scan_steps(scan, rows, cols):
    """Lanes, and those that each step uses."""
    if scan == 0:
        return linear_steps(rows * cols, 32)
    lanes = min(32, rows)
    strips = [min(lanes, rows - first) for first in range(0, rows, lanes)]
    return lanes, [height for height in strips for _ in range(cols)]


def places(scan, rows, cols, order):
    """The element, in row-major order, that each symbol belongs to."""
    if scan == 0:
        return list(range(rows * cols))
    lanes = min(32, rows)
    strips = [order[first : first + lanes] for first in range(0, rows, lanes)]
    return [row * cols + col for strip in strips for col in range(cols) for row in strip]


def decode_symbols(stream, table, scan, rows, cols):
    lanes, steps = scan_steps(scan, rows, cols)
    coded = decode_stream(stream, [table] * len(steps), lanes, steps)
    out = numpy.zeros(rows * cols, int)
    out[places(scan, rows, cols, list(range(rows)))] = coded
    return out.reshape(rows, cols)


# --- scale classes (section 9) ----------------------------------------------------------------


def read_factors(payload, at, count, width):
    (length,) = struct.unpack("<I", take(payload, at, 4))
    symbols, frequencies, used = read_table(payload[at + 4 :], width)
    at += 4 + used
    lanes, steps = linear_steps(count, 1 if count < 4096 else 32)
    stream = take(payload, at, length)
    return decode_stream(stream, [(symbols, frequencies)] * len(steps), lanes, steps), at + length


def read_map(payload, at, count):
    """The number of each of `count` classes, by bits that tell whether it is one more than that before."""
    bits = Bits(take(payload, at, ceil_div(count, 8)))
    numbers = []
    for _ in range(count):
        numbers.append(bits.take(1) + (numbers[-1] if numbers else 0))
    require(numbers[0] == 0 and bits.take(-count % 8) == 0, "bits of the classes")
    return numbers, at + ceil_div(count, 8)


def class_tables(tables, of_class, width):
    """The first tables, as many as classes take, with their low bits."""
    require(of_class[-1] < len(tables), "tables of the classes")
    fields = []
    for table_width, symbols, frequencies in tables[: of_class[-1] + 1]:
        low = width - table_width
        require(0 <= low <= 8, "low bits")
        fields.append((low, symbols, frequencies))
    a = min(symbols[0] << low for low, symbols, _ in fields)
    b = max((symbols[-1] + 1 << low) - 1 for low, symbols, _ in fields)
    require(b < 256 or (b | 7) - a // 8 * 8 < 256, "fields of the classes")
    return fields


def read_classes(payload, at, head, tables, part, minor):
    """Returns the classes of a group and what is behind them."""
    count, scan, lowest, width, products = head
    rows, cols, element = part
    if scan == 2:
        require(lowest == 0 and width == 8 and TYPES[element][1] == 1, "context scan")
        (lowest,) = struct.unpack("<h", take(payload, at, 2))
        at += 2
    kinds = ("U8", "I8", *(MANTISSA if minor >= 2 else ()))
    require(products <= 32 and (products == 0 or TYPES[element][0] in kinds), "products")
    require(products * (rows + cols) <= rows * cols, "more factors than elements")
    require(1 <= rows <= 1 << 20 and 1 <= cols <= 1 << 20, "part of the view")
    of_class, at = read_map(payload, at, count)
    fields = class_tables(tables, of_class, width)
    row_factors, at = read_factors(payload, at, rows, 6)
    col_factors, at = read_factors(payload, at, cols, 6)
    means = []
    for _ in range(products):
        exponent = take(payload, at, 1)[0]
        require(exponent <= 8, "exponent of a product")
        of_rows, at = read_factors(payload, at + 1, rows, 8)
        of_cols, at = read_factors(payload, at, cols, 8)
        means.append((exponent, numpy.array(of_rows) - 128, numpy.array(of_cols) - 128))
    return {
        "scan": scan, "lowest": lowest, "width": width, "of_class": of_class, "tables": fields,
        "rows": row_factors, "cols": col_factors, "means": means,
    }, at


def predict(classes, rows, cols, corner):
    total = numpy.zeros((rows, cols), int)
    for exponent, of_rows, of_cols in classes["means"]:
        a = of_rows[corner[0] : corner[0] + rows, None]
        b = of_cols[None, corner[1] : corner[1] + cols]
        total += a * b << exponent
    return total.reshape(-1)


def restore_signs(word, name, size, negative):
    """Exponent, sign against the prediction, mantissa: as an element again."""
    mantissa = numpy.uint64(MANTISSA[name])
    one = numpy.uint64(1)
    sign = word >> mantissa & one ^ negative.astype(numpy.uint64)
    exponent = word >> mantissa + one
    return sign << numpy.uint64(8 * size - 1) | exponent << mantissa | word & (one << mantissa) - one


def class_of(classes, elements, cols, row_factors, col_factors, context=0):
    """The class of a step, or of a unit with a context."""
    total = sum(row_factors[e // cols] + col_factors[e % cols] for e in elements)
    clas = (total + len(elements) // 2) // len(elements) + context - classes["lowest"]
    return min(max(clas, 0), len(classes["of_class"]) - 1)


def decode_classes(stream, classes, width, rows, cols, corner, contexts):
    """The fields of a plane with scale classes."""
    require(classes is not None and corner is not None, "no classes here")
    require(classes["width"] == width, "width of the classes")
    row_factors = classes["rows"][corner[0] : corner[0] + rows]
    col_factors = classes["cols"][corner[1] : corner[1] + cols]
    factors = row_factors, col_factors
    if classes["scan"] == 2:
        require(contexts is not None, "no contexts here")
        n, values = contexts
        units = [range(at, at + n) for at in range(0, rows * cols, n)]
        of_unit = [class_of(classes, unit, cols, *factors, c) for unit, c in zip(units, values)]
        order = sorted(range(len(units)), key=lambda unit: of_unit[unit])
        where = [element for unit in order for element in units[unit]]
        lanes, steps = scan_steps(0, rows, cols)
    else:
        order = sorted(range(rows), key=lambda row: row_factors[row])
        where = places(classes["scan"], rows, cols, order)
        lanes, steps = scan_steps(classes["scan"], rows, cols)
    tables, at = [], 0
    for active in steps:
        step = where[at : at + active]
        at += active
        clas = of_unit[step[0] // n] if classes["scan"] == 2 else class_of(classes, step, cols, *factors)
        tables.append(classes["tables"][classes["of_class"][clas]])
    return decode_fields(stream, tables, lanes, steps, where).reshape(rows, cols)


def decode_fields(stream, tables, lanes, steps, where):
    """Fields of a plane with classes. `where` has their places in the order of the scan, `tables` the table of each step."""
    low_len = ceil_div(sum(active * low for active, (low, *_) in zip(steps, tables)), 8)
    require(low_len <= len(stream), "low bits")
    bits = Bits(stream[len(stream) - low_len :])
    coded = decode_stream(
        stream[: len(stream) - low_len], [table[1:] for table in tables], lanes, steps
    )
    out, symbols = numpy.zeros(len(where), int), iter(zip(where, coded))
    for active, (low, *_) in zip(steps, tables):
        for _ in range(active):
            place, symbol = next(symbols)
            out[place] = (symbol << low) + bits.take(low)
    require(bits.take(8 * low_len - bits.at) == 0, "unused low bits")
    return out


# --- prediction (section 8) -------------------------------------------------------------------


def restore_tiles(values, width, tile, data):
    rows, cols = values.shape
    corners = [(r, c) for r in range(0, rows, tile[0]) for c in range(0, cols, tile[1])]
    symbols, frequencies, used = read_table(data, 3)
    lanes, steps = linear_steps(len(corners), 1)
    codes = decode_stream(data[used:], [(symbols, frequencies)] * len(steps), lanes, steps)
    for (row, col), code in zip(corners, codes):
        require(code <= 4, "predictor")
        part = values[row : row + tile[0], col : col + tile[1]]
        height, breadth = part.shape
        left = values[row : row + height, col - 1].copy() if col else None
        top = values[row - 1, col : col + breadth].copy() if row else None
        if left is None:
            left = numpy.full(height, top[0] if row else 0)
        if top is None:
            top = numpy.full(breadth, left[0] if col else 0)
        left, top = left[:, None], top[None, :]
        i, j = numpy.arange(height)[:, None], numpy.arange(breadth)[None, :]
        whole = i + j + 2
        predicted = [
            0, left, top, (left + top) // 2,
            ((i + 1) * left + (j + 1) * top + whole // 2) // whole,
        ][code]
        part[:] = (part + predicted) % (1 << width)


# --- bases (section 11) -----------------------------------------------------------------------


def read_bases(data, count, references, segments, inside):
    """Returns the bases, as (BLAKE3, length), and where they end; sets the references of segments, none of them
    `inside` packings."""
    require(count <= 16, "too many bases")
    bases, at, before = [], 0, -1
    for _ in range(count):
        digest, length, name_len, zero = struct.unpack("<32sQHH", take(data, at, 44))
        require(zero == 0 and name_len <= 1024, "base")
        try:
            take(data, at + 44, name_len).decode()
        except UnicodeDecodeError as error:
            raise Refused("name of a base") from error
        require(all(digest != other for other, _ in bases), "base twice")
        bases.append((digest, length))
        at += 44 + name_len
    for _ in range(references):
        number, base, flip, zero, position = struct.unpack("<IBBHQ", take(data, at, 16))
        at += 16
        require(before < number < len(segments), "segment of a reference")
        require(number not in inside, "reference of a packing")
        require((base < count or base == OWN) and flip <= 1 and zero == 0, "reference")
        if base != OWN:
            require(position + segments[number]["bytes"] <= bases[base][1], "reference outside its base")
        segments[number]["base"], before = (base, flip, position), number
    return bases, at


def check_own(segments, records, sources, starts):
    """References to the original itself lead to an earlier segment that is cut alike and has none (section 11.1)."""
    own = [segment.get("base", (0,))[0] == OWN for segment in segments]
    for number, segment in enumerate(segments):
        if own[number]:
            homes = [k for k in range(number) if starts[k] == segment["base"][2] and segments[k]["bytes"]]
            require(homes, "reference to no segment")
            home = homes[0]
            require(records[home][8:] == records[number][8:], "reference to another cut")
            require(segments[home]["size"] == segment["size"], "reference to elements of another size")
            require(not own[sources.get(home, home)], "reference to what has one")


def partner_reader(segment, first, rows, cols, pitch, originals):
    """What gives the partners of a block whose first element is number `first`; None without a base."""
    if "base" not in segment:
        return None
    (base, flip, position), size = segment["base"], segment["size"]

    def partners():
        original = originals[base] if base != OWN else originals[-1]
        require(original is not None, "base is missing")
        starts = [position + (first + row * pitch) * size for row in range(rows)]
        data = b"".join(take(original, start, cols * size) for start in starts)
        words = numpy.frombuffer(data, f"<u{size}").astype(numpy.uint64)
        return words ^ numpy.uint64(1 << 8 * size - 1) if flip else words

    return partners


def add_base(residual, partner, size, transform, prediction):
    if prediction == 2:
        return residual ^ partner
    top, mask = numpy.uint64(1 << 8 * size - 1), numpy.uint64((1 << 8 * size) - 1)
    if transform == "identity":
        return residual + partner + top & mask
    if transform == "flip":
        return ((residual ^ top) + (partner ^ top) + top & mask) ^ top
    place = lambda x: numpy.where(x & top, mask - x, x + top)
    found = place(residual) + place(partner) + top & mask
    return numpy.where(found & top, found - top, mask - found)


def read_base_classes(payload, at, count, tables, name):
    """Returns the base classes of so many planes and what is behind them."""
    require(count <= 16 and name in MANTISSA, "base classes")
    lowest, sizes = take(payload, at, 2)
    require(2 <= sizes <= 64, "exponents of base classes")
    of_exponent, at = read_map(payload, at + 2, sizes)
    require(2 <= of_exponent[-1] + 1 <= 24, "base classes")
    planes, before, first = {}, -1, 0
    for _ in range(count):
        number, width = take(payload, at, 2)
        require(number > before and 1 <= width <= 8, "plane of base classes")
        of_class, at = read_map(payload, at + 2, of_exponent[-1] + 1)
        planes[number] = width, of_class, class_tables(tables[first:], of_class, width)
        first, before = first + of_class[-1] + 1, number
    return {"lowest": lowest, "of_exponent": of_exponent, "planes": planes}, at


def decode_base_classes(stream, classes, number, width, name, size, partners):
    """The fields of a plane with base classes, in row-major order."""
    require(classes is not None and number in classes["planes"], "no base classes here")
    plane_width, of_class, tables = classes["planes"][number]
    require(plane_width == width, "width of the base classes")
    mantissa = MANTISSA[name]
    exponents = partners.astype(object) >> mantissa & (1 << 8 * size - 1 - mantissa) - 1
    if name == "F64":
        exponents = numpy.clip(exponents - 896, 0, 255)
    of_exponent = classes["of_exponent"]
    at = numpy.clip(exponents - classes["lowest"], 0, len(of_exponent) - 1)
    of_element = [of_exponent[e] for e in at]
    order = sorted(range(len(of_element)), key=lambda element: of_element[element])
    lanes, steps = linear_steps(len(order), 32)
    first = [sum(steps[:k]) for k in range(len(steps))]
    of_step = [tables[of_class[of_element[order[k]]]] for k in first]
    return decode_fields(stream, of_step, lanes, steps, order)


# --- copies and archives (sections 12, 13) ------------------------------------------------------


def read_copies(data, at, count, segments, records):
    """The source of each segment that is a copy, and where the copies end."""
    sources, before = {}, -1
    for _ in range(count):
        number, source = struct.unpack("<II", take(data, at, 8))
        at += 8
        require(before < number < len(segments), "segment of a copy")
        require(source < number and source not in sources, "source of a copy")
        require(records[number] == records[source], "record of a copy")
        require("base" not in segments[number], "copy with a reference")
        sources[number], before = source, number
    copies = [segments[number] for number in sources]
    most = 65536 + 8 * count + sum(segment["bytes"] for segment in copies) // 4096
    require(sum(map(count_blocks, copies)) <= most, "blocks of copies")
    return sources, at


def check_contexts(sources, with_context, layouts):
    """Copies of what has contexts have the same ones (section 12)."""
    for copy, source in sources.items():
        if copy not in with_context and source not in with_context:
            continue
        require(copy in with_context and source in with_context, "copy without its context")
        (first, k, _), (other, of_source, _) = with_context[copy], with_context[source]
        require(k == of_source, "context of a copy")
        for place in layouts[k][4][1]:
            a, b = first + place, other + place
            require(sources.get(a, a) == sources.get(b, b), "context of a copy")


def parts_of(path):
    require(1 <= len(path) <= 4096, "length of a path")
    try:
        text = path.decode()
    except UnicodeDecodeError as error:
        raise Refused("path of an entry") from error
    require("\0" not in text and "\\" not in text and text[1:2] != ":", "path of an entry")
    parts = path.split(b"/")
    require(len(parts) <= 64, "parts of a path")
    require(all(1 <= len(part) <= 255 and part not in (b".", b"..") for part in parts), "part of a path")
    return parts


def read_entries(data, count, ends):
    """The entries of an archive as (path, BLAKE3, length, is a file); files end where segments or packings do."""
    entries, at, total, before = [], 0, 0, []
    for _ in range(count):
        digest, length, path_len, kind, executable, source, zero = struct.unpack("<32sQHBBB3s", take(data, at, 48))
        path = take(data, at + 48, path_len)
        at += 48 + path_len
        require(kind <= 1 and executable <= 1 and source in (0, 1, 2, 4, 5, 6) and not any(zero), "entry")
        require(kind == 0 or not (any(digest) or length or executable or source), "folder")
        parts, total = parts_of(path), total + length
        require(before < parts and (not before or parts[: len(before)] != before), "order of paths")
        require(total in ends, "end of a file")
        entries.append((path.decode(), digest, length, kind == 0))
        before = parts
    require(at == len(data), "bytes behind the directory")
    return entries


# --- blocks (section 5) -----------------------------------------------------------------------


def unpack(stream, width, count):
    bits = numpy.unpackbits(numpy.frombuffer(stream, numpy.uint8), bitorder="little")
    require(not bits[count * width :].any(), "unused bits of a raw plane")
    fields = bits[: count * width].reshape(count, width).astype(numpy.uint64)
    return (fields << numpy.arange(width, dtype=numpy.uint64)).sum(axis=1, dtype=numpy.uint64)


def decode_coded(payload, element, rows, cols, scan, tile, side, corner, partners, contexts):
    """Returns (elements as bytes, head)."""
    name, size, transform = TYPES[element]
    count, at = rows * cols, 12
    planes, prediction, zero, head_len, map_len = struct.unpack("<BBHII", take(payload, 0, 12))
    require(1 <= planes <= 16 and zero == 0, "head")
    require(prediction <= (2 if partners else 0), "prediction from a base")
    records = [struct.unpack("<BBHI", take(payload, 12 + 8 * k, 8)) for k in range(planes)]
    at = 12 + 8 * planes
    require(head_len % 16 == 0 and head_len <= len(payload), "head length")
    require(at + map_len <= head_len, "tile map length")
    tile_map = payload[at : at + map_len]
    require(map_len == 0 or records[0][1] in (2, 3, 4), "tile map without a coded plane")
    at += map_len
    require(sum(record[0] for record in records) == 8 * size, "widths")
    tables = []
    for index, (width, kind, value, length) in enumerate(records):
        require(1 <= width <= 12 and (kind or width <= 8), "plane record")
        require(kind <= 3 or (kind == 4 and index == 0) or (kind == 5 and prediction), "plane kind")
        require(kind in (1, 2) or value == 0, "plane value")
        require(kind != 1 or (value < 1 << width and length == 0), "constant plane")
        require(kind or length == ceil_div(count * width, 8), "raw plane")
        table = None
        if kind == 2:
            shared = side["tables"]
            require(value < len(shared) and shared[value][0] == width, "shared table")
            table = shared[value][1:]
        elif kind == 3:
            symbols, frequencies, used = read_table(payload[at:head_len], width)
            table, at = (symbols, frequencies), at + used
        tables.append(table)
    require(align(at, 16) == head_len and not any(payload[at:head_len]), "head padding")

    word, end, shift = numpy.zeros(count, numpy.uint64), head_len, 8 * size
    for index, ((width, kind, value, length), table) in enumerate(zip(records, tables)):
        start = align(end, 16) if length else end
        require(not any(payload[end:start]), "stream padding")
        stream, end = take(payload, start, length), start + length
        shift -= width
        if kind == 0:
            values = unpack(stream, width, count)
        elif kind == 1:
            values = numpy.full(count, value, numpy.uint64)
        else:
            if kind == 5:
                based = side["based"]
                values = decode_base_classes(stream, based, index, width, name, size, partners())
            elif kind == 4:
                values = decode_classes(stream, side["classes"], width, rows, cols, corner, contexts)
                require(side["classes"]["scan"] < 2 or not map_len, "tile map with contexts")
            else:
                values = decode_symbols(stream, table, scan, rows, cols)
            if index == 0 and map_len:
                restore_tiles(values, width, tile, tile_map)
            values = values.reshape(-1).astype(numpy.uint64)
        word |= values << numpy.uint64(shift)
    require(end == len(payload), "bytes behind the last stream")
    means = corner is not None and side["classes"] is not None and side["classes"]["means"]
    if transform == "flip":
        word ^= numpy.uint64(1 << 8 * size - 1)
    elif transform == "rotate" and means:
        negative = predict(side["classes"], rows, cols, corner) < 0
        word = restore_signs(word, name, size, negative)
    elif transform == "rotate":
        word = word >> numpy.uint64(1) | (word & numpy.uint64(1)) << numpy.uint64(8 * size - 1)
    if records[0][1] == 4 and means and transform != "rotate":
        mean = predict(side["classes"], rows, cols, corner) + 8192 >> 14
        word = (word + mean.astype(numpy.uint64)) % numpy.uint64(256)
    if prediction:
        word = add_base(word, partners(), size, transform, prediction)
    return word.astype(f"<u{size}").tobytes(), payload[:head_len]


def decode_block(payload, mode, number, checksum, segment, rows, cols, corner, side, partners, contexts):
    count = rows * cols * segment["size"]
    require(len(payload) <= count, "payload longer than its elements")
    head = b""
    if mode == RAW:
        decoded = payload
    elif mode == CONSTANT:
        require(len(payload) == segment["size"], "constant block")
        decoded = payload * (rows * cols)
    elif mode == CODED:
        decoded, head = decode_coded(
            payload, segment["element"], rows, cols, segment["scan"], segment["tile"], side, corner,
            partners, contexts,
        )
    elif mode == ZSTD:
        decoded, head = unzstd(payload, count), payload
    else:
        raise Refused("side block among the elements")
    require(len(decoded) == count, "block size")
    check(number, segment, head, decoded, checksum)
    return decoded


def check(number, segment, head, decoded, checksum):
    seed = xxhash.xxh3_64_intdigest(head, segment["number"] << 32 | number)
    require(xxhash.xxh3_64_intdigest(decoded, seed) == checksum, "checksum")


def read_side(payload, part, minor):
    count, classes, scan, lowest, width, products = struct.unpack("<HHBBBB", take(payload, 0, 8))
    require(count <= 256 and len(payload) <= 1 << 20, "side block")
    require(1 <= classes <= (64 if minor else 1), "scale classes")
    based = scan if classes == 1 and minor >= 4 else 0
    require(classes > 1 or (scan == based and lowest == width == products == 0), "no classes")
    at, tables = 8, []
    for _ in range(count):
        table_width = take(payload, at, 1)[0]
        require(1 <= table_width <= 12, "table width")
        symbols, frequencies, used = read_table(payload[at + 1 :], table_width)
        tables.append((table_width, symbols, frequencies))
        at += 1 + used
    found = of_base = None
    if based:
        name = TYPES[part[2]][0]
        of_base, at = read_base_classes(payload, at, based, tables, name)
    if classes > 1:
        require(scan <= (2 if minor >= 4 else 1) and 1 <= width <= 12, "scan and width of classes")
        head = (classes, scan, lowest, width, products)
        found, at = read_classes(payload, at, head, tables, part, minor)
    require(at == len(payload), "bytes behind the contents")
    return {"tables": tables, "classes": found, "based": of_base}


# --- container (sections 2, 3) ----------------------------------------------------------------


def read_segment(data, number):
    fields = struct.unpack("<BBBBHHIIIIQQQ", data)
    element, scan, side, zero, tile_rows, tile_cols, block_rows, block_cols, bands, zero2 = fields[:10]
    elements, rows, cols = fields[10:]
    require(element <= 15 and scan <= 1 and side <= 1 and zero == zero2 == 0, "segment")
    require(min(tile_rows, tile_cols, block_rows, block_cols, bands) >= 1, "segment sizes")
    size = TYPES[element][1]
    require(elements * size < 1 << 63 and rows * cols <= elements, "segment too large")
    require((rows == 0) == (cols == 0), "view with one empty side")
    tail = elements - rows * cols
    require(max(block_rows * block_cols, tail) * size <= 4 << 20, "block too large")
    require(min(rows, block_rows) * cols * size <= 64 << 20, "band too large")
    across = ceil_div(cols, block_cols)
    require((ceil_div(rows, block_rows) + 1) * (across + 1) <= 0x7FFFFFFF, "too many blocks")
    heights = [min(block_rows, rows - r) for r in range(0, rows, block_rows)]
    body = [[(h, min(block_cols, cols - c)) for c in range(0, cols, block_cols)] for h in heights]
    return {
        "number": number, "element": element, "size": size, "scan": scan, "side": side,
        "tile": (tile_rows, tile_cols), "group": bands, "bytes": elements * size,
        "bands": body + ([[(1, tail)]] if tail else []), "body": len(body), "cols": cols,
        "block": (block_rows, block_cols),
    }


def count_blocks(segment):
    """Blocks of a segment, side blocks included."""
    bands = segment["bands"]
    return sum(map(len, bands)) + segment["side"] * ceil_div(len(bands), segment["group"])


def read_layouts(data, at, count, minor):
    """Layouts (section 10.1), and where they end. Of each: bytes, values, fields, segments, context."""
    require(count <= 256, "layouts")
    layouts = []
    for _ in range(count):
        size, values, field_count, contexts = struct.unpack("<IIBB", take(data, at, 10))
        require(size and values and not any(take(data, at + 10, 6)), "layout")
        require(contexts <= (1 if minor >= 4 else 0), "contexts")
        require(size + sum(layout[0] for layout in layouts) <= 1 << 20, "size of structs")
        require(1 <= field_count <= 16, "fields")
        at, fields, used = at + 16, [], numpy.zeros(8 * size, numpy.int64)
        for _ in range(field_count):
            element, piece_count, bias, pivot_count, codes = struct.unpack("<BBBBI", take(data, at, 8))
            require(element <= 15 and 1 <= piece_count <= 8, "field")
            require(codes and (bias == 0 or TYPES[element][1] == 1), "codes and bias")
            require(pivot_count <= (2 if minor >= 4 else 0), "pivots")
            at, pieces = at + 8, []
            for _ in range(piece_count):
                first, width, axis_count, zero = struct.unpack("<IBBH", take(data, at, 8))
                require(width and 1 <= axis_count <= 4 and zero == 0, "piece")
                axes = struct.unpack(f"<{2 * axis_count}I", take(data, at + 8, 8 * axis_count))
                at += 8 + 8 * axis_count
                axes, places, last = list(zip(axes[::2], axes[1::2])), 1, first + width
                for axis, stride in axes:
                    places, last = places * axis, last + (axis - 1) * stride
                require(places == codes <= 8 * size and last <= 8 * size, "places of a piece")
                bits = numpy.array([first])
                for axis, stride in reversed(axes):
                    bits = (numpy.arange(axis) * stride + bits[:, None]).reshape(-1)
                pieces.append((bits, width))
                for bit in range(width):
                    numpy.add.at(used, bits + bit, 1)
            require(sum(width for _, width in pieces) <= 8 * TYPES[element][1], "width of a code")
            group, pivots = codes, []
            if pivot_count:
                group = struct.unpack("<I", take(data, at, 4))[0]
                require(pivot_count < group <= 64 and codes % group == 0, "groups of a field")
                require(TYPES[element][1] == 1, "codes with pivots")
                at += 4
            for _ in range(pivot_count):
                count, zero, several = struct.unpack("<B3s4s", take(data, at, 8))
                require(1 <= count <= 4 and count * group <= 255, "codes of a pivot")
                require(not any(zero) and not any(several[count:]), "pivot")
                pivots.append(several[:count])
                at += 8
            fields.append((element, bias, codes, pieces, group, pivots))
        require((used == 1).all(), "bits of a struct")
        segments = []
        for element, _, codes, _, group, pivots in fields:
            groups = codes // group
            segments += [(element, codes - groups * len(pivots))] + [(2, groups)] * len(pivots)
        context = None
        if contexts:
            context, at = read_context(data, at, fields)
        layouts.append((size, values, fields, segments, context))
    return layouts, at


def first_segment(fields, number):
    """The first segment of a field, counted from the first one of the packing."""
    return sum(1 + len(pivots) for *_, pivots in fields[:number])


def read_context(data, at, fields):
    """A context (section 10.1), and where it ends: its segment, the segments that it needs, the elements of a unit,
    the units of a struct, its terms."""
    number, count, zero, codes = struct.unpack("<BBHI", take(data, at, 8))
    require(number < len(fields) and 1 <= count <= 4 and zero == 0 and codes >= 8, "context")
    element, _, all_codes, _, group, pivots = fields[number]
    require(TYPES[element][1] == 1 and all_codes % codes == 0, "codes of a context")
    require(not pivots or codes % group == 0, "unit of a context")
    unit = codes - (codes // group * len(pivots) if pivots else 0)
    terms, needed, units = [], set(), all_codes // codes
    for k in range(count):
        of, measure, weight, zero = struct.unpack("<BBbB", take(data, at + 8 + 4 * k, 4))
        require(of < len(fields) and of != number and measure <= 1 and zero == 0, "term of a context")
        name = TYPES[fields[of][0]][0]
        logs = ("U8", "I8", "F8_E4M3", "F16", "BF16", "F32")
        require(name in (("U8",) if measure else logs), "measure of a context")
        require(units % fields[of][2] == 0, "codes of a term")
        terms.append((of, measure, weight))
        first = first_segment(fields, of)
        needed |= set(range(first, first + 1 + len(fields[of][5])))
    return (first_segment(fields, number), needed, unit, units, terms), at + 8 + 4 * count


def read_packings(data, at, count, layouts, segments):
    """Packings (section 10.2) by their first segment, and where they end."""
    packings, free = {}, 0
    for _ in range(count):
        first, layout, structs = struct.unpack("<IIQ", take(data, at, 16))
        at += 16
        require(layout < len(layouts) and structs and first >= free, "packing")
        parts = layouts[layout][3]
        free = first + len(parts)
        require(free <= len(segments), "segments of a packing")
        for (element, codes), segment in zip(parts, segments[first:free]):
            require(element == segment["element"], "element type of a field")
            require(structs * codes * segment["size"] == segment["bytes"], "codes of a field")
        require(sum(s["bytes"] for s in segments[first:free]) <= 64 << 20, "size of a packing")
        packings[first] = (layout, structs)
    return packings, at


def put_pivots(pivots, group, bias, left, places):
    """A group of codes with its pivots (section 10.2)."""
    codes = [0] * len(pivots) + list(left)
    for number in reversed(range(len(pivots))):
        told, several = places[number], pivots[number]
        if told >= group * len(several):
            codes[number] = (told - group * len(several) + bias) % 256
            continue
        place = told % group
        require(number <= place, "place of a pivot")
        codes[number] = codes[place]
        codes[place] = several[told // group]
    return codes


def codes_of_field(field, data, places):
    """The codes of a field, their pivots put back."""
    _, bias, _, _, group, pivots = field
    if not pivots:
        return data
    lefts = numpy.frombuffer(data, numpy.uint8).reshape(-1, group - len(pivots)).tolist()
    groups = zip(lefts, zip(*places))
    whole = [put_pivots(pivots, group, bias, left, told) for left, told in groups]
    return bytes(code for codes in whole for code in codes)


def logarithm(name, code):
    if name == "I8":
        significand, exponent = abs(code - 256 if code > 127 else code), 0
    elif name == "U8":
        significand, exponent = code, 0
    else:
        bits = MANTISSA[name]
        code &= (1 << 8 * SIZES[name] - 1) - 1
        significand, exponent = code & (1 << bits) - 1, {"F8_E4M3": -9, "F16": -24, "BF16": -133, "F32": -149}[name]
        if code >> bits:
            significand, exponent = significand + (1 << bits), exponent + (code >> bits) - 1
    if significand == 0:
        return -262144
    h = significand.bit_length() - 1
    f = (significand - (1 << h)) * 1024 >> h
    return (exponent + h) * 1024 + f + (f * (1024 - f) * 357 >> 20)


def unit_contexts(layout, structs, parts):
    """The contexts of all units of a packing (section 9.7)."""
    _, _, fields, _, (_, _, _, units, terms) = layout
    sums = [0] * (structs * units)
    for number, measure, weight in terms:
        field, first = fields[number], first_segment(fields, number)
        data = codes_of_field(field, parts[first], parts[first + 1 : first + 1 + len(field[5])])
        name, size, _ = TYPES[field[0]]
        codes = numpy.frombuffer(data, f"<u{size}").tolist()
        share = units // field[2]
        for unit in range(len(sums)):
            code = codes[unit // share]
            sums[unit] += weight * (1024 * code if measure else logarithm(name, code))
    return [min(max(total >> 8, -32768), 32767) for total in sums]


def put_together(layout, structs, parts):
    """Structs from the segments of their fields (section 10.2)."""
    size, _, fields, _, _ = layout
    parts = iter(parts)
    bits = numpy.zeros((structs, 8 * size), numpy.uint8)
    for field in fields:
        element, bias, count, pieces, _, pivots = field
        data = next(parts)
        data = codes_of_field(field, data, [next(parts) for _ in pivots])
        name = f"<u{TYPES[element][1]}"
        values = numpy.frombuffer(data, name).reshape(structs, count) - numpy.array(bias, name)
        down = 0
        for places, width in pieces:
            for bit in range(width):
                bits[:, places + bit] = values >> numpy.array(down + bit, name) & numpy.array(1, name)
            down += width
    return numpy.packbits(bits, axis=1, bitorder="little").tobytes()


def packed_layer(shape, segment, offset, length, segments, layouts, packings):
    """The segment behind a layer of packings (section 10.3)."""
    number = packings[segment][0]
    size, values, _, parts, _ = layouts[number]
    last = shape[-1] if shape else 1
    require(last % values == 0 and offset == 0 and length, "layer of packings")
    elements = 1
    for dim in shape:
        elements *= dim
    require(elements // values * size == length, "length of a layer of packings")
    while length > 0:
        require(segment in packings and packings[segment][0] == number, "packings of a layer")
        length -= packings[segment][1] * size
        segment += len(parts)
    require(length == 0, "part of a packing")
    return segment


def read_layers(data, count, segments, layouts, packings):
    names, at, free = set(), 0, (0, 0)
    inside = {s for first, (k, _) in packings.items() for s in range(first + 1, first + len(layouts[k][3]))}
    for _ in range(count):
        fixed = struct.unpack("<IBBHIIQQ", take(data, at, 32))
        name_len, dtype_len, dims, zero, segment, zero2, offset, length = fixed
        require(zero == zero2 == 0 and dtype_len, "layer")
        at += 32
        try:
            name = take(data, at, name_len).decode()
            dtype = take(data, at + name_len, dtype_len).decode()
        except UnicodeDecodeError as error:
            raise Refused("layer name") from error
        at += name_len + dtype_len
        shape = struct.unpack(f"<{dims}Q", take(data, at, 8 * dims))
        at += 8 * dims
        require(name not in names, "layer twice")
        names.add(name)
        require(segment < len(segments), "segment of a layer")
        require((segment, offset) >= free, "order of layers")
        if segment in packings:
            free = (packed_layer(shape, segment, offset, length, segments, layouts, packings), 0)
        else:
            require(segment not in inside, "layer inside a packing")
            require(offset + length <= segments[segment]["bytes"], "layer outside its segment")
            free = (segment, offset + length)
        elements = 1
        for dim in (0,) if 0 in shape else shape:
            elements *= dim
            require(elements < 1 << 64, "layer too large")
        require(dtype not in SIZES or elements * SIZES[dtype] == length, "layer size")
    return at


def block_contexts(segment, start, rows, cols, pitch, contexts):
    """The contexts of the units of a block of the body; None if there are none."""
    if contexts is None:
        return None
    n, values = contexts
    if start % n or cols % n or pitch % n:
        return None
    firsts = [(start + row * pitch) // n for row in range(rows)]
    return n, [values[first + k] for first in firsts for k in range(cols // n)]


def decode_segment(data, segment, records, minor, originals, contexts=None):
    """The bytes of a segment; takes its block records off `records`."""
    out, number, covered = [], 0, 0
    for first in range(0, len(segment["bands"]), segment["group"]):
        group, pending = segment["bands"][first : first + segment["group"]], []
        side, (height, breadth) = {"tables": [], "classes": None, "based": None}, segment["block"]
        body = group[: max(0, segment["body"] - first)]
        for down, band in enumerate(group):
            pitch, start = sum(cols for _, cols in band), covered
            covered += band[0][0] * pitch
            for across, shape in enumerate(band):
                corner = (down * height, across * breadth) if down < len(body) else None
                partners = partner_reader(segment, start, *shape, pitch, originals)
                of_units = block_contexts(segment, start, *shape, pitch, contexts)
                start += shape[1]
                pending.append((number, shape, corner, partners, of_units, next(records)))
                number += 1
        if segment["side"]:
            at, checksum, length, mode = next(records)
            require(mode == SIDE, "side block expected")
            check(number, segment, b"", data[at : at + length], checksum)
            part = (sum(band[0][0] for band in body), segment["cols"], segment["element"])
            side = read_side(data[at : at + length], part, minor)
            number += 1
        decoded = [
            decode_block(
                data[at : at + length], mode, n, checksum, segment, *shape, corner, side, partners, of_units
            )
            for n, shape, corner, partners, of_units, (at, checksum, length, mode) in pending
        ]
        for band in group:
            blocks, decoded = decoded[: len(band)], decoded[len(band) :]
            views = [
                numpy.frombuffer(block, numpy.uint8).reshape(rows, cols * segment["size"])
                for block, (rows, cols) in zip(blocks, band)
            ]
            out.append(numpy.concatenate(views, axis=1).tobytes())
    return b"".join(out)


def segment_starts(segments, layouts, packings):
    """Where each segment begins in the original; None for those of packings."""
    starts, number, at = [], 0, 0
    while number < len(segments):
        if number in packings:
            layout, structs = packings[number]
            at, count = at + structs * layouts[layout][0], len(layouts[layout][3])
            starts += [None] * count
            number += count
        else:
            starts.append(at)
            at, number = at + segments[number]["bytes"], number + 1
    return starts


def part_ends(segments, layouts, packings):
    """Where segments and packings end in the original."""
    ends = {0}
    for number, start in enumerate(segment_starts(segments, layouts, packings)):
        if start is not None:
            ends.add(start + segments[number]["bytes"])
        elif number in packings:
            layout, structs = packings[number]
            before = max(ends)
            ends.add(before + structs * layouts[layout][0])
    return ends


def decode(data, bases=()):
    """The original of a .wcodec file, with the originals of its bases; raises Refused for anything that is not one."""
    require(data[:8] == HEADER_MAGIC, "not a wcodec file")
    require(len(data) >= 64 + 128 and data[-8:] == FOOTER_MAGIC, "truncated")
    major, minor = struct.unpack_from("<HH", data, 8)
    require(major == 1 and minor <= 4, "unsupported version")
    require(not any(data[12:64]), "header")
    footer = data[-128:]
    table_at, blocks, stored, decoded_len, original_len = struct.unpack_from("<5Q", footer)
    digest, segment_count, layer_count, source, coding = struct.unpack_from("<32sIIBB", footer, 40)
    layout_count, packing_count, base_count, references = struct.unpack_from("<4I", footer, 84)
    copy_count, entry_count = struct.unpack_from("<2I", footer, 100)
    require(source <= (7 if minor >= 4 else 6 if minor >= 3 else 3) and coding <= 1, "footer")
    require(not any(footer[82:84] + footer[108:112]), "footer")
    require(minor >= 3 or layout_count == packing_count == 0, "packings before version 1.3")
    require(minor >= 4 or base_count == references == 0, "bases before version 1.4")
    require(minor >= 4 or copy_count == 0, "copies before version 1.4")
    require(source == 7 or entry_count == 0, "entries of no archive")
    directory_at = table_at + 24 * blocks
    require(table_at % 64 == 0 and directory_at + stored + 128 == len(data), "parts")
    require(decoded_len <= 16 * stored + 65536 and (decoded_len or not coding), "directory length")
    table, directory = data[table_at:directory_at], data[directory_at:-128]
    hashed = data[:64] + table + directory + footer[:112]
    require(xxhash.xxh3_64_digest(hashed) == footer[112:120][::-1], "index checksum")

    records, end = [], 64
    for at, checksum, length, mode, zero in struct.iter_unpack("<QQIB3s", table):
        require(at == align(end, 64) and length and mode <= 4 and not any(zero), "block record")
        require(at + length <= table_at and not any(data[end:at]), "block padding")
        records.append((at, checksum, length, mode))
        end = at + length
    require(align(end, 64) == table_at and not any(data[end:table_at]), "padding")

    if coding:
        directory = unzstd(directory, decoded_len)
    require(len(directory) == decoded_len >= 48 * segment_count, "directory")
    fields = [directory[48 * k : 48 * k + 48] for k in range(segment_count)]
    segments = [read_segment(record, k) for k, record in enumerate(fields)]
    layouts, at = read_layouts(directory, 48 * segment_count, layout_count, minor)
    packings, at = read_packings(directory, at, packing_count, layouts, segments)
    at += read_layers(directory[at:], layer_count, segments, layouts, packings)
    inside = {s for first, (k, _) in packings.items() for s in range(first, first + len(layouts[k][3]))}
    directory = directory[at:]
    named, at = read_bases(directory, base_count, references, segments, inside)
    sources, at = read_copies(directory, at, copy_count, segments, fields)
    starts = segment_starts(segments, layouts, packings)
    check_own(segments, fields, sources, starts)
    entries = read_entries(directory[at:], entry_count, part_ends(segments, layouts, packings))
    by_digest = {blake3.blake3(base).digest(): base for base in bases}
    originals = [by_digest.get(digest) for digest, _ in named]
    lengths = zip(originals, named)
    require(all(o is None or len(o) == length for o, (_, length) in lengths), "length of a base")
    expected = sum(count_blocks(s) for number, s in enumerate(segments) if number not in sources)
    require(expected == blocks, "number of blocks")
    of_segment, at = [], 0
    for number, segment in enumerate(segments):
        count = 0 if number in sources else count_blocks(segment)
        of_segment.append(iter(records[at : at + count]))
        at += count
    with_context = {}
    for first, (k, structs) in packings.items():
        if layouts[k][4]:
            with_context[first + layouts[k][4][0]] = (first, k, structs)
    check_contexts(sources, with_context, layouts)
    decoded, own = [None] * len(segments), bytearray()
    for number, segment in enumerate(segments):
        if number in with_context:
            continue
        if number in sources:
            decoded[number] = decoded[sources[number]]
        else:
            decoded[number] = decode_segment(data, segment, of_segment[number], minor, [*originals, own])
        if starts[number] is not None:
            # Those of packings are never referred to, so zeros do.
            own += bytes(starts[number] - len(own)) + decoded[number]
    for number, (first, k, structs) in sorted(with_context.items()):
        if number in sources:
            decoded[number] = decoded[sources[number]]
            continue
        values = unit_contexts(layouts[k], structs, decoded[first : first + len(layouts[k][3])])
        contexts = layouts[k][4][2], values
        decoded[number] = decode_segment(data, segments[number], of_segment[number], minor, originals, contexts)
    original, number = [], 0
    while number < len(segments):
        if number in packings:
            layout, structs = layouts[packings[number][0]], packings[number][1]
            parts = decoded[number : number + len(layout[3])]
            original.append(put_together(layout, structs, parts))
            number += len(parts)
        else:
            original.append(decoded[number])
            number += 1
    original = b"".join(original)
    require(len(original) == original_len, "original length")
    require(blake3.blake3(original).digest() == digest, "BLAKE3 of the original")
    require(source != 7 or sum(length for _, _, length, _ in entries) == len(original), "length of the files")
    at = 0
    for path, digest, length, is_file in entries:
        file, at = original[at : at + length], at + length
        require(not is_file or blake3.blake3(file).digest() == digest, f"BLAKE3 of {path}")
    return original


def open_base(path):
    with open(path, "rb") as file:
        return file.read()


def main():
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    try:
        bases = [open_base(path) for path in sys.argv[3:]]
        original = decode(data, bases)
    except Refused as error:
        sys.exit(f"{sys.argv[1]}: refused: {error}")
    if sys.argv[2] == "-":
        sys.stdout.buffer.write(original)
    else:
        with open(sys.argv[2], "wb") as file:
            file.write(original)


if __name__ == "__main__":
    main()
