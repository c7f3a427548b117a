#!/usr/bin/env python3
"""Encodes, verifies and decodes a generated model of 3 GB, and a fine-tune of it against it, and prints each command's peak memory.

usage: memory.py WCODEC [FOLDER]    (needs about 12 GB in FOLDER; removes what it makes)
"""

import json
import os
import random
import struct
import subprocess
import sys
import tempfile

LIMIT = 400 << 20
SHAPES = {"I8": [(65536, 4096), (256, 1048576), (40, 6710886)], "BF16": [(32768, 4096)] * 3, "F32": [(16384, 4096)] * 5}
SIZES = {"I8": 1, "BF16": 2, "F32": 4}


def piece(rng, dtype, count):
    """Bytes of `count` elements, bell-shaped."""
    if dtype == "I8":
        return bytes(int(rng.gauss(0, 20)) & 255 for _ in range(count))
    floats = struct.pack(f"<{count}f", *(rng.gauss(0, 0.02) for _ in range(count)))
    return floats if dtype == "F32" else b"".join(floats[i + 2 : i + 4] for i in range(0, len(floats), 4))


def write_model(path, tuned):
    """Writes the model, or one in which every tenth element is a step further."""
    rng, header, at, tensors = random.Random(1), {}, 0, []
    for dtype, shapes in SHAPES.items():
        for number, shape in enumerate(shapes):
            length = shape[0] * shape[1] * SIZES[dtype]
            header[f"{dtype}.{number}"] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + length]}
            tensors.append((dtype, length))
            at += length
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for dtype, length in tensors:
            # A period that no block size divides, so that blocks differ.
            data = bytearray(piece(rng, dtype, 1_000_003))
            if tuned:
                lowest = range(0, len(data), 10 * SIZES[dtype])
                data[:: 10 * SIZES[dtype]] = bytes(data[at] ^ 1 for at in lowest)
            for start in range(0, length, len(data)):
                file.write(data[: length - start])


def run(*args):
    """Runs a command; returns its peak resident memory in bytes."""
    child = subprocess.Popen(args, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{' '.join(args)}: status {status}")
    return usage.ru_maxrss * 1024


def measure(wcodec, model, bases=()):
    """Encodes, verifies and decodes a model; returns the peaks."""
    coded, back = model + ".wcodec", model + ".back"
    given = [word for base in bases for word in ("--base", base)]
    peaks = {
        "encode": run(wcodec, "encode", model, "-o", coded, "--force", *given),
        "verify": run(wcodec, "verify", coded, *given),
        "decode": run(wcodec, "decode", coded, "-o", back, *given),
    }
    if subprocess.run(["cmp", model, back], check=False).returncode:
        sys.exit("the model did not come back")
    os.remove(back)
    print(f"{os.path.getsize(model):,} bytes, coded in {os.path.getsize(coded):,} bytes")
    return peaks


def main():
    wcodec = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as folder:
        model, tuned = os.path.join(folder, "model"), os.path.join(folder, "tuned")
        # In a process of its own: a child's peak begins with what its parent holds.
        for path in (model, tuned):
            subprocess.run([sys.executable, __file__, "--write", path], check=True)
        worst = 0
        for name, path, bases in [
            ("alone", model, []),
            ("with a plain base", tuned, [model]),
            ("with a coded base", tuned, [model + ".wcodec"]),
        ]:
            for command, peak in measure(wcodec, path, bases).items():
                print(f"{name}, {command}: peak resident memory {peak / 2**20:.0f} MiB", flush=True)
                worst = max(worst, peak)
        if worst > LIMIT:
            sys.exit(f"more than {LIMIT >> 20} MiB")


if __name__ == "__main__":
    if sys.argv[1] == "--write":
        write_model(sys.argv[2], os.path.basename(sys.argv[2]) == "tuned")
    else:
        main()
