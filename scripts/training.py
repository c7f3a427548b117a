#!/usr/bin/env python3
"""Prints the table of a synthetic training run of docs/BENCHMARKS.md: each step is coded against the one before.

usage: training.py WCODEC MODEL.safetensors [STEPS]    (needs numpy)

In step k of 10, k tenths of the bf16 weights get noise of 0.2 % of the standard deviation of their tensor. Speeds are 10^9 bytes of original
a second on one thread (medians of `wcodec bench`, the base in memory); every step is decoded and compared, at last from a chain of
`.wcodec` files.
"""

import json
import os
import subprocess
import sys
import tempfile

import numpy

NOISE = 0.002
CHAIN = 8


def read(path):
    """The bytes of a file, and the places of its BF16 tensors."""
    with open(path, "rb") as file:
        data = bytearray(file.read())
    start = 8 + int.from_bytes(data[:8], "little")
    entries = json.loads(data[8:start])
    entries.pop("__metadata__", None)
    places = [entry["data_offsets"] for entry in entries.values() if entry["dtype"] == "BF16"]
    return data, sorted((start + begin, start + end) for begin, end in places)


def rounded(values):
    """The nearest bf16, as bits; ties to even."""
    bits = values.astype("<f4").view("<u4")
    return (bits + 0x7FFF + (bits >> 16 & 1) >> 16).astype("<u2")


def step(rng, data, places, share):
    """Makes the next step of `data`; the share of weights that changed."""
    changed = total = 0
    for begin, end in places:
        before = numpy.frombuffer(data[begin:end], "<u2")
        weights = (before.astype("<u4") << 16).view("<f4")
        noise = rng.normal(0, NOISE * weights.std(), weights.size).astype("<f4")
        after = numpy.where(rng.random(weights.size) < share, rounded(weights + noise), before)
        data[begin:end] = after.astype("<u2").tobytes()
        changed += int((after != before).sum())
        total += after.size
    return changed / total


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def bench(wcodec, path, *options):
    found = json.loads(run(wcodec, "bench", path, "--json", "--runs", "3", *options))
    return 100 * found["coded_bytes"] / found["original_bytes"], found["runs"][0]["decode_gbps"]


def restores(wcodec, path, coded, bases):
    options = [word for base in bases for word in ("--base", base)]
    run(wcodec, "decode", coded, "-o", coded + ".out", "--force", "--quiet", *options)
    with open(path, "rb") as one, open(coded + ".out", "rb") as other:
        return one.read() == other.read()


def main():
    wcodec, model = sys.argv[1:3]
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else 10
    rng = numpy.random.default_rng(1)
    data, places = read(model)
    print("| step | weights changed | alone | against the step before | decode GB/s, alone | with base |")
    print("|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        before, chain = model, [model]
        for number in range(1, steps + 1):
            changed = step(rng, data, places, number / steps)
            path = os.path.join(folder, f"{number}.safetensors")
            with open(path, "wb") as file:
                file.write(data)
            run(wcodec, "encode", path, "--base", before, "--quiet")
            coded = path + ".wcodec"
            assert restores(wcodec, path, coded, [before])
            alone, speed = bench(wcodec, path)
            size, with_base = bench(wcodec, path, "--base", before)
            print(f"| {number} | {changed:.1%} | {alone:.2f} % | {size:.2f} % | {speed:.2f} | {with_base:.2f} |", flush=True)
            if number <= CHAIN:
                chain.append(coded)
                assert restores(wcodec, path, coded, chain[:-1])
            before = path


if __name__ == "__main__":
    main()
