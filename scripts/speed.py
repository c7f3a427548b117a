#!/usr/bin/env python3
"""Prints the speed table of docs/BENCHMARKS.md: decoding and encoding as multiples of memcpy, by scan and level.

usage: speed.py WCODEC FOLDER FILE ...     (FILE without its folder and ending)

Each row is a few runs of `wcodec bench FILE --scan SCAN`, one per level, with WCODEC_LEVEL set, and one with two
threads; memcpy is that of the same run with the same number of threads.
"""

import json
import os
import subprocess
import sys

COLUMNS = ["file", "scan", "memcpy GB/s", "decode avx512", "decode avx2", "decode scalar", "encode avx512", "decode, 2 threads / 1"]


def bench(wcodec, path, scan, level, threads):
    command = [wcodec, "bench", path, "--json", "--scan", scan, "--threads", threads]
    environment = dict(os.environ, WCODEC_LEVEL=level)
    result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
    if result["level"] != level:
        sys.exit(f"this machine has no {level}")
    return result["runs"]


def row(wcodec, path, scan):
    one, two = bench(wcodec, path, scan, "avx512", "1,2")
    others = [bench(wcodec, path, scan, level, "1")[0] for level in ("avx2", "scalar")]
    times = lambda run, what: f"{run[what + '_gbps'] / run['memcpy_gbps']:.2f} x ({run[what + '_gbps']:.2f})"
    cells = [os.path.basename(path).removesuffix(".safetensors"), scan, f"{one['memcpy_gbps']:.1f}"]
    cells += [times(run, "decode") for run in (one, *others)]
    cells += [times(one, "encode"), f"{two['decode_gbps'] / one['decode_gbps']:.2f}"]
    cells[-1] += f" (memcpy {two['memcpy_gbps'] / one['memcpy_gbps']:.2f})"
    return cells


def main():
    wcodec, folder, *files = sys.argv[1:]
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---|---|" + "--:|" * (len(COLUMNS) - 2))
    for file in files:
        for scan in ("row", "column"):
            print("| " + " | ".join(row(wcodec, os.path.join(folder, file + ".safetensors"), scan)) + " |", flush=True)


if __name__ == "__main__":
    main()
