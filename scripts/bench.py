#!/usr/bin/env python3
"""Prints the table of docs/BENCHMARKS.md: wcodec beside `zstd -3`, file by file, in one run.

usage: bench.py WCODEC FOLDER [FILE ...]    (FILE without its folder; all files of FOLDER by default)

Sizes are those of `wcodec encode` with its default options. Speeds are 10^9 bytes of original a second in
memory, one thread: medians of `wcodec bench`, and `zstd -b3`, one behind the other. Each file comes back
through `wcodec decode` and is compared. The last columns are by how much the size that `wcodec estimate` tells is
off, in % of the real one, and the seconds that it took with a thread for each core.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

COLUMNS = ["file", "bytes", "zstd -3", "wcodec", "memcpy", "zstd enc", "zstd dec", "wcodec enc", "wcodec dec", "estimate", "s"]


def output(*args):
    return subprocess.run(args, capture_output=True, text=True, check=True)


def measure(wcodec, path):
    with tempfile.TemporaryDirectory() as folder:
        coded, back = os.path.join(folder, "coded"), os.path.join(folder, "back")
        output(wcodec, "encode", path, "-o", coded, "--quiet")
        output(wcodec, "decode", coded, "-o", back, "--quiet")
        output("cmp", path, back)
        size = os.path.getsize(coded)
    estimate = json.loads(output(wcodec, "estimate", path, "--json", "--quiet").stdout)
    run = json.loads(output(wcodec, "bench", path, "--json").stdout)["runs"][0]
    zstd = output("zstd", "-b3", "-i1", path)
    found = re.findall(r"-> *(\d+) \(.*?\), *([\d.]+) MB/s, *([\d.]+) MB/s", zstd.stdout + zstd.stderr)[-1]
    original = os.path.getsize(path)
    share = lambda part: f"{100 * part / original:.2f} %"
    speeds = [run["memcpy_gbps"], float(found[1]) / 1000, float(found[2]) / 1000, run["encode_gbps"], run["decode_gbps"]]
    name = os.path.basename(path).removesuffix(".safetensors")
    return [name, f"{original:,}", share(int(found[0])), share(size), *(f"{speed:.2f}" for speed in speeds),
            f"{100 * (estimate['expected_bytes'] / size - 1):+.2f} %", f"{estimate['seconds']:.1f}"]


def main():
    wcodec, folder, *files = sys.argv[1:]
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---|" + "--:|" * (len(COLUMNS) - 1))
    for file in files or sorted(os.listdir(folder)):
        print("| " + " | ".join(measure(wcodec, os.path.join(folder, file))) + " |", flush=True)


if __name__ == "__main__":
    main()
