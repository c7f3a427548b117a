#!/usr/bin/env python3
"""Loads files through Python beside safetensors, NumPy and the codec alone, in memory-backed storage.

    python/benchmarks/load.py CORPUS/files/minilm-bf16.safetensors ... [--threads 1 2] [--runs 15]

Wants the package and safetensors installed. Prints medians for each file and number of threads, in
10^9 bytes of original a second; all kinds are measured in turn, each in new processes.

    bench       `wcodec bench`: decoding from memory to memory that is there already
    load        wcodec.numpy.load, from bytes in memory
    load_file   wcodec.numpy.load_file; torch: that of wcodec.torch
    read        reading the .wcodec file into memory that is there already: what the system takes for it
    safetensors safetensors.numpy.load_file of the original
    fromfile    numpy.fromfile of the original

The last columns are times by the time of `wcodec bench`: of `load`, and of `load_file` less that of `read`.
With --cpu, times are those of the processor in all threads, which other processes disturb less, and
`bench` is the same decoding through the package, into memory that is there already.
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
import json, sys, time
import numpy as np
kind, clock, original, coded, runs = sys.argv[1:]
clock = getattr(time, clock)

def setup():
    if kind == "load_file":
        import wcodec.numpy
        return lambda: wcodec.numpy.load_file(coded)
    if kind == "torch":
        import wcodec.torch
        return lambda: wcodec.torch.load_file(coded)
    if kind == "safetensors":
        import ml_dtypes, safetensors.numpy
        return lambda: safetensors.numpy.load_file(original)
    if kind == "fromfile":
        return lambda: np.fromfile(original, np.uint8)
    data = open(coded, "rb").read()
    if kind == "load":
        import wcodec.numpy
        return lambda: wcodec.numpy.load(data)
    if kind == "bench":
        import wcodec
        reader = wcodec.Reader.from_bytes(data)
        into = [(n, np.ones(l.nbytes, np.uint8)) for n, l in enumerate(reader.layers.values())]
        return lambda: reader._native.decode_into(into, None)
    buffer = bytearray(len(data))
    file = open(coded, "rb", buffering=0)
    return lambda: file.seek(0) or file.readinto(buffer)

work = setup()
work()
seconds = []
for _ in range(int(runs)):
    started = clock()
    result = work()
    seconds.append(clock() - started)
    del result
print(json.dumps(seconds))
"""


def measure(kind, original, coded, threads, options):
    if kind == "bench" and not options.cpu:
        command = [sys.executable, "-m", "wcodec", "bench", str(original), "--json"]
        command += ["--threads", str(threads), "--runs", str(max(3, options.runs // 3))]
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return [original.stat().st_size / 1e9 / found["runs"][0]["decode_gbps"]]
    clock = "process_time" if options.cpu else "perf_counter"
    command = [
        sys.executable,
        "-c",
        MEASURE,
        kind,
        clock,
        str(original),
        str(coded),
        str(options.runs),
    ]
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    return json.loads(result.stdout)


def row(original, coded, threads, kinds, options):
    seconds = {kind: [] for kind in kinds}
    for _ in range(options.rounds):
        for kind in kinds:
            seconds[kind] += measure(kind, original, coded, threads, options)
    median = {kind: statistics.median(values) for kind, values in seconds.items()}
    size = original.stat().st_size / 1e9
    cells = [original.stem, threads, *(f"{size / median[kind]:.2f}" for kind in kinds)]
    cells.append(f"{median['load'] / median['bench']:.2f}")
    cells.append(f"{(median['load_file'] - median['read']) / median['bench']:.2f}")
    return f"| {' | '.join(map(str, cells))} |"


def main():
    form = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--runs", type=int, default=15, help="runs of a process")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each kind, in turn")
    parser.add_argument("--cpu", action="store_true", help="time of the processor")
    parser.add_argument("--torch", action="store_true", help="wcodec.torch as well")
    options = parser.parse_args()
    kinds = [
        "bench",
        "load",
        "load_file",
        *["torch"] * options.torch,
        "read",
        "safetensors",
        "fromfile",
    ]
    print(f"| file | threads | {' | '.join(kinds)} | load by bench | load_file - read by bench |")
    print(f"|---|--:|{'--:|' * len(kinds)}--:|--:|")
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        for path in options.files:
            original, coded = Path(folder, path.name), Path(folder, path.name + ".wcodec")
            original.write_bytes(path.read_bytes())
            command = [
                sys.executable,
                "-m",
                "wcodec",
                "encode",
                str(original),
                "--force",
                "--quiet",
            ]
            subprocess.run(command, check=True, capture_output=True)
            for threads in options.threads:
                print(row(original, coded, threads, kinds, options), flush=True)
            original.unlink()
            coded.unlink()


if __name__ == "__main__":
    main()
