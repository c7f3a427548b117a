#!/usr/bin/env python3
"""Prints the speed table of docs/BENCHMARKS.md: decoding and encoding as multiples of memcpy, by effort, scan and level.

usage: speed.py WCODEC FOLDER FILE ...     (FILE without its folder, and without its ending if that is safetensors)

Each row is a few runs of `wcodec bench FILE`, one per level, with WCODEC_LEVEL set, the first one with one and two
threads; memcpy is that of the same run with the same number of threads. `row` and `column` are default effort with
--scan; GGUF files have two rows.
"""

import json
import os
import subprocess
import sys

LEVELS = ("avx512", "avx2", "scalar")
HOW = {
    "fast": ["--effort", "fast"],
    "default": [],
    "row": ["--scan", "row"],
    "column": ["--scan", "column"],
}
COLUMNS = ["file", "how", "size", "memcpy GB/s"]
COLUMNS += [f"{what} {level}" for what in ("decode", "encode") for level in LEVELS[: 3 if what == "decode" else 2]]
COLUMNS += ["decode, 2 threads / 1"]


def bench(wcodec, path, options, level, threads):
    command = [wcodec, "bench", path, "--json", "--runs", "3", "--threads", threads, *options]
    environment = dict(os.environ, WCODEC_LEVEL=level)
    result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
    if result["level"] != level:
        sys.exit(f"this machine has no {level}")
    return result


def row(wcodec, path, how):
    results = [bench(wcodec, path, HOW[how], level, "1,2" if level == LEVELS[0] else "1") for level in LEVELS]
    best, two = results[0]["runs"][0], results[0]["runs"][1]
    runs = [result["runs"][0] for result in results]
    size = f"{100 * results[0]['coded_bytes'] / results[0]['original_bytes']:.2f} %"

    def times(run, what):
        speed = run[what + "_gbps"]
        return f"{speed / run['memcpy_gbps']:.{2 if what == 'decode' else 3}f} x ({speed:.2f})"

    cells = [os.path.basename(path).removesuffix(".safetensors"), how, size, f"{best['memcpy_gbps']:.1f}"]
    cells += [times(run, "decode") for run in runs]
    cells += [times(run, "encode") for run in runs[:2]]
    cells += [f"{two['decode_gbps'] / best['decode_gbps']:.2f} (memcpy {two['memcpy_gbps'] / best['memcpy_gbps']:.2f})"]
    return cells


def main():
    wcodec, folder, *files = sys.argv[1:]
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---|---|" + "--:|" * (len(COLUMNS) - 2))
    for file in files:
        path = os.path.join(folder, file)
        hows = list(HOW) if not os.path.exists(path) else list(HOW)[:2]
        path = path if os.path.exists(path) else path + ".safetensors"
        for how in hows:
            print("| " + " | ".join(row(wcodec, path, how)) + " |", flush=True)


if __name__ == "__main__":
    main()
