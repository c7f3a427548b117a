#!/usr/bin/env python3
"""Compares wcodec with other compressors in one run: prints a table for each file and writes docs/compare.json.

usage: compare.py --files A,B [--wcodec WCODEC] [--peers-dir FOLDER] [--corpus FOLDER] [--peers P,Q] [--threads N]
                  [--out FILE]                       (A, B without their folder)

The others, "peers", are measured by the `bench.py` in --peers-dir, one after another: medians of three runs in
memory (in files held in memory, for peers that know only files). It takes the environment's PEERS_HOME.
Directly before and after the peers of a file runs `wcodec bench`, with default effort and with `fast`: medians of
five, in memory; encoding is not verified, decoding checks every block's checksum. The mean of the two counts; both
are kept as `runs`.
With one thread, everything is pinned to one CPU. `memcpy_gbps` is what either side measured beside the codec:
`wcodec bench` copies 128 MiB, the peers' copies the file, which may lie in a cache; so the table divides every
decode speed by the former. `exact` says whether a file came back byte for byte; for wcodec that is `wcodec
encode`, `wcodec decode` and a comparison. Sizes are parts of the original, speeds 10^9 bytes of original a
second. A peer that fails stays in the list, with its `error`.
"""

import argparse
import datetime
import filecmp
import json
import os
import platform
import subprocess
import sys
import tempfile

SPEEDS = ["encode_gbps", "decode_gbps", "memcpy_gbps"]
EFFORTS = {"wcodec": "default", "wcodec fast": "fast"}


def output(*args):
    return subprocess.run(args, stdout=subprocess.PIPE, text=True, check=True).stdout


def machine():
    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return {"cpu": models[0] if models else platform.machine(), "cores": os.cpu_count()}


def comes_back(wcodec, path, effort):
    with tempfile.TemporaryDirectory() as folder:
        coded, back = os.path.join(folder, "coded"), os.path.join(folder, "back")
        output(wcodec, "encode", path, "-o", coded, "--quiet", "--effort", effort)
        output(wcodec, "decode", coded, "-o", back, "--quiet")
        return filecmp.cmp(path, back, shallow=False)


def bench(wcodec, path, threads):
    """What `bench` says of each effort."""
    pin = ["taskset", "-c", "0"] if threads == 1 else []
    command = [*pin, wcodec, "bench", path, "--json", "--threads", str(threads), "--effort"]
    return {name: json.loads(output(*command, effort)) for name, effort in EFFORTS.items()}


def wcodec_entry(name, measured, exact):
    """One entry out of what `bench` said before and after the peers."""
    runs = [{speed: round(each["runs"][0][speed], 4) for speed in SPEEDS} for each in measured]
    size = round(measured[0]["coded_bytes"] / measured[0]["original_bytes"], 5)
    mean = {speed: sum(run[speed] for run in runs) / len(runs) for speed in SPEEDS}
    return {"name": name, "size": size, **mean, "exact": exact, "runs": runs}


def peer_entry(name, line, trouble):
    """One entry out of a line of the peers' bench.py; `trouble` is what it said if there is no line."""
    if line is None or "fail" in line:
        return {"name": name, "error": line["fail"] if line else trouble}
    speeds = [line["enc_gbs"], line["dec_gbs"], line["ref"]["memcpy_gbs"]]
    return {"name": name, "size": line["ratio"], **dict(zip(SPEEDS, speeds)), "exact": line["exact"]}


def measure_peers(args, file):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "lines")
        script = os.path.join(args.peers_dir, "bench.py")
        options = ["--files", file, "--peers", args.peers, "--threads", str(args.threads), "--out", out]
        # Its progress is not part of our output.
        done = subprocess.run(
            [sys.executable, script, *options],
            env={**os.environ, "CORPUS": os.path.abspath(args.corpus)},
            stdout=sys.stderr,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        lines = []
        if os.path.exists(out):
            with open(out) as text:
                lines = [json.loads(line) for line in text]
    found = {line["peer"]: line for line in lines}
    trouble = (done.stderr.strip().splitlines() or ["not measured"])[-1]
    return [peer_entry(name, found.get(name), trouble) for name in args.peers.split(",")]


def table(file, entries):
    memcpy = entries[0]["memcpy_gbps"]
    columns = ["compressor", "size", "encode GB/s", "decode GB/s", f"decode, x memcpy ({memcpy:.1f} GB/s)"]
    rows = [f"\n{file}\n", "| " + " | ".join(columns) + " |", "|---" + "|--:" * 4 + "|"]
    for entry in entries:
        if "error" in entry:
            cells = ["failed: " + entry["error"].replace("|", "\\|"), "", "", ""]
        else:
            encode, decode = entry["encode_gbps"], entry["decode_gbps"]
            cells = [f"{100 * entry['size']:.2f} %", f"{encode:.2f}", f"{decode:.2f}", f"{decode / memcpy:.3f}"]
        name = entry["name"] + ("" if entry.get("exact", True) else " (not exact)")
        rows.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--wcodec", default="target/release/wcodec")
    parser.add_argument("--peers-dir", default="../shared/peers", help="folder with the peers' bench.py")
    parser.add_argument("--files", required=True, help="names in the corpus, with commas")
    parser.add_argument("--corpus", default="../corpus/files")
    parser.add_argument("--peers", default="zstd-3,zipnn,lmzip,glyd-max,pcodec-8")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", default="docs/compare.json")
    args = parser.parse_args()
    paths = {file: os.path.join(args.corpus, file) for file in args.files.split(",")}
    for path in [args.wcodec, os.path.join(args.peers_dir, "bench.py"), *paths.values()]:
        if not os.path.isfile(path):
            parser.error(f"{path}: no such file")
    wcodec = os.path.abspath(args.wcodec)
    date = datetime.date.today().isoformat()
    report = {"date": date, "machine": machine(), "level": None, "threads": args.threads, "files": {}}
    for file, path in paths.items():
        before = bench(wcodec, path, args.threads)
        peers = measure_peers(args, file)
        after = bench(wcodec, path, args.threads)
        report["level"] = after["wcodec"]["level"]
        ours = [
            wcodec_entry(name, [before[name], after[name]], comes_back(wcodec, path, effort))
            for name, effort in EFFORTS.items()
        ]
        report["files"][file] = [*ours, *peers]
        print(table(file, report["files"][file]), flush=True)
        # After every file: a long run that breaks off has not been for nothing.
        with open(args.out, "w") as out:
            json.dump(report, out, indent=2)
            out.write("\n")


if __name__ == "__main__":
    main()
