#!/usr/bin/env python3
"""Loads files through Python beside safetensors, NumPy and the codec alone, in memory-backed storage.

    python/benchmarks/load.py CORPUS/files/minilm-bf16.safetensors ... [--threads 1 2] [--runs 15]

Wants the package and safetensors installed. For each file and number of threads it prints medians, in
10^9 bytes of original a second: `wcodec bench` decoding into memory that is there already, the package's
load_file, safetensors' load_file, and numpy.fromfile; and the time of the package's load_file by that of
`wcodec bench`. All are measured in turn, each in new processes, whose first load is not counted.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

#: What a process of its own measures: one kind, so many times; prints seconds.
MEASURE = """
import sys, time, json
import numpy as np
kind, original, coded, runs = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
if kind == "wcodec.numpy":
    import wcodec.numpy
    work = lambda: wcodec.numpy.load_file(coded)
elif kind == "wcodec.torch":
    import wcodec.torch
    work = lambda: wcodec.torch.load_file(coded)
elif kind == "safetensors":
    import safetensors.numpy
    work = lambda: safetensors.numpy.load_file(original)
else:
    work = lambda: np.fromfile(original, np.uint8)
work()
seconds = []
for _ in range(runs):
    started = time.perf_counter()
    result = work()
    seconds.append(time.perf_counter() - started)
    del result
print(json.dumps(seconds))
"""


def measure(kind, original, coded, threads, runs):
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    if kind == "bench":
        command = [sys.executable, "-m", "wcodec", "bench", str(original), "--json"]
        command += ["--threads", str(threads), "--runs", str(max(3, runs // 3))]
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return [original.stat().st_size / 1e9 / found["runs"][0]["decode_gbps"]]
    command = [sys.executable, "-c", MEASURE, kind, str(original), str(coded), str(runs)]
    result = subprocess.run(command, check=True, capture_output=True, env=environment)
    return json.loads(result.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--runs", type=int, default=15, help="runs of a process")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each kind, in turn")
    parser.add_argument("--torch", action="store_true", help="wcodec.torch as well")
    options = parser.parse_args()
    kinds = ["bench", "wcodec.numpy", *["wcodec.torch"] * options.torch, "safetensors", "numpy.fromfile"]
    print(f"| file | threads | {' | '.join(kinds)} | wcodec.numpy by bench |")
    print(f"|---|--:|{'--:|' * len(kinds)}--:|")
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        for path in options.files:
            original, coded = Path(folder, path.name), Path(folder, path.name + ".wcodec")
            original.write_bytes(path.read_bytes())
            command = [sys.executable, "-m", "wcodec", "encode", str(original), "--force", "--quiet"]
            subprocess.run(command, check=True, capture_output=True)
            for threads in options.threads:
                seconds = {kind: [] for kind in kinds}
                for _ in range(options.rounds):
                    for kind in kinds:
                        seconds[kind] += measure(kind, original, coded, threads, options.runs)
                medians = {kind: statistics.median(values) for kind, values in seconds.items()}
                size = original.stat().st_size / 1e9
                speeds = " | ".join(f"{size / medians[kind]:.2f}" for kind in kinds)
                by_bench = medians["wcodec.numpy"] / medians["bench"]
                print(f"| {path.stem} | {threads} | {speeds} | {by_bench:.2f} |", flush=True)
            original.unlink()
            coded.unlink()


if __name__ == "__main__":
    main()
