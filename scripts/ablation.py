#!/usr/bin/env python3
"""Prints the ablation of docs/DESIGN.md: size and decoding speed of each file with one idea switched off at a time.

usage: ablation.py WCODEC FOLDER FILE ...     (FILE without its folder and ending)

Sizes are in % of the original; in brackets the speeds of decoding and of encoding, 10^9 bytes of original a second on one thread
(medians of `wcodec bench`).
"""

import json
import os
import subprocess
import sys

IDEAS = {
    "all": [],
    "no predicted means": ["--products", "0"],
    "no tile predictors": ["--predictors", "none"],
    "row scan alone": ["--scan", "row"],
    "column scan alone": ["--scan", "column"],
    "no scale classes": ["--effort", "fast"],
    "highest effort": ["--effort", "max"],
}


def bench(wcodec, path, options):
    command = [wcodec, "bench", path, "--json", "--threads", "1", "--runs", "3", *options]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    run = found["runs"][0]
    size = 100 * found["coded_bytes"] / found["original_bytes"]
    return f"{size:.2f} % ({run['decode_gbps']:.1f}, {run['encode_gbps']:.2f})"


def main():
    wcodec, folder, *files = sys.argv[1:]
    print("| file | " + " | ".join(IDEAS) + " |")
    print("|---|" + "--:|" * len(IDEAS))
    for file in files:
        path = os.path.join(folder, file + ".safetensors")
        cells = [bench(wcodec, path, options) for options in IDEAS.values()]
        print(f"| {file} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
