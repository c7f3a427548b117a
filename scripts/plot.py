#!/usr/bin/env python3
"""Draws docs/compare.svg out of docs/compare.json: size against decode speed, one panel for each file.

usage: plot.py [--json FILE] [--files A,B] [--out FILE]    (A, B as in the JSON; its first two files by default)

The same JSON gives the same bytes. Compressors that failed are left out. The memcpy line is what `wcodec bench`
measured.
"""

import argparse
import json
import math
from html import escape

WIDTH, HEIGHT, GAP = 360, 300, 48  # of a panel's plot area; between panels
LEFT, TOP, BOTTOM, RIGHT = 70, 40, 84, 16
SIZE = 12  # of the type
INK, FAINT, GRID, OURS, THEIRS = "#1f2328", "#59636e", "#e4e7eb", "#c2410c", "#57718f"


def text(x, y, words, anchor="start", **style):
    style = {"fill": INK, "font_size": SIZE, **style}
    attributes = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in style.items())
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{attributes}>{escape(words)}</text>'


def line(x1, y1, x2, y2, colour, more=""):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{more}/>'


def is_ours(entry):
    return entry["name"].split()[0] == "wcodec"


def memcpy_of(entries):
    return next(entry["memcpy_gbps"] for entry in entries if is_ours(entry))


def size_axis(entries):
    """(low, high, ticks) in whole steps of %, with room around the points."""
    sizes = [100 * entry["size"] for entry in entries]
    room = max(1.0, 0.2 * (max(sizes) - min(sizes)))
    low, high = min(sizes) - room, max(sizes) + room
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100) if high - low <= 7 * s or s == 100)
    return low, high, range(step * math.ceil(low / step), math.floor(high) + 1, step)


def speed_axis(panels):
    """(low, high, ticks) for all panels, in logarithms; ticks at 1, 2 and 5."""
    speeds = [entry["decode_gbps"] for entries in panels for entry in entries]
    high = math.log10(max(speeds + [memcpy_of(entries) for entries in panels]))
    low = math.log10(min(speeds))
    room = max(0.05, 0.1 * (high - low))
    low, high = low - room, high + room
    decades = range(math.floor(low), math.ceil(high))
    ticks = [float(f"{digit}e{decade}") for decade in decades for digit in (1, 2, 5)]
    return low, high, [tick for tick in ticks if low <= math.log10(tick) <= high]


def overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def place(x, y, words, taken, left):
    """Where the label of the point (x, y) goes: (x, baseline, anchor); its box is added to `taken`."""
    width, right = 0.6 * SIZE * len(words), left + WIDTH
    for nudge in (side * step * SIZE / 3 for step in range(40) for side in (1, -1)):
        for anchor, from_x in (("start", x + 9), ("end", x - 9 - width)):
            middle = y + nudge
            box = (from_x, middle - 0.6 * SIZE, from_x + width, middle + 0.6 * SIZE)
            inside = left <= box[0] and box[2] <= right and TOP <= box[1] and box[3] <= TOP + HEIGHT
            if inside and not any(overlap(box, other) for other in taken):
                taken.append(box)
                return x + 9 if anchor == "start" else x - 9, middle + 0.35 * SIZE, anchor
    return x + 9, y + 0.35 * SIZE, "start"


def panel(file, entries, left, speeds):
    low, high, ticks = size_axis(entries)
    across = lambda percent: left + WIDTH * (percent - low) / (high - low)
    up = lambda speed: TOP + HEIGHT * (speeds[1] - math.log10(speed)) / (speeds[1] - speeds[0])
    bottom, right = TOP + HEIGHT, left + WIDTH
    title = file.removesuffix(".safetensors")
    parts = [text(left + WIDTH / 2, TOP - 14, title, "middle", font_weight="bold", font_size=14)]
    for tick in ticks:
        parts.append(line(across(tick), TOP, across(tick), bottom, GRID))
        parts.append(text(across(tick), bottom + 18, str(tick), "middle"))
    for tick in speeds[2]:
        parts.append(line(left, up(tick), right, up(tick), GRID))
        parts.append(text(left - 8, up(tick) + 4, f"{tick:g}", "end"))
    parts.append(f'<rect x="{left}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="{FAINT}"/>')
    parts.append(text(left + WIDTH / 2, bottom + 40, "size, % of the original (left is smaller)", "middle"))
    copy = memcpy_of(entries)
    parts.append(line(left, up(copy), right, up(copy), FAINT, ' stroke-dasharray="6 4"'))
    parts.append(text(right - 6, up(copy) - 6, f"memcpy {copy:.1f}", "end", fill=FAINT))
    points = [(across(100 * entry["size"]), up(entry["decode_gbps"]), entry) for entry in entries]
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y, _ in points]
    taken.append((left, up(copy) - 1, right, up(copy) + 1))
    taken.append((right - 90, up(copy) - 6 - SIZE, right, up(copy)))
    # wcodec's label chooses first, and its point lies on top.
    drawn = []
    for x, y, entry in sorted(points, key=lambda point: (not is_ours(point[2]), point[1], point[0])):
        ours = is_ours(entry)
        colour, words = OURS if ours else THEIRS, entry["name"] + ("" if entry["exact"] else " (not exact)")
        at, baseline, anchor = place(x, y, words, taken, left)
        style = {"fill": OURS, "font_weight": "bold"} if ours else {}
        point = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{6 if ours else 4.5}" fill="{colour}"/>'
        drawn.append(point + text(at, baseline, words, anchor, **style))
        if abs(baseline - 0.35 * SIZE - y) > SIZE:
            parts.append(line(x, y, at, baseline - 0.35 * SIZE, colour, ' stroke-width="0.8"'))
    return parts + drawn[::-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", default="docs/compare.json")
    parser.add_argument("--files", help="names as in the JSON, with commas")
    parser.add_argument("--out", default="docs/compare.svg")
    args = parser.parse_args()
    with open(args.json) as file:
        report = json.load(file)
    files = args.files.split(",") if args.files else list(report["files"])[:2]
    if unknown := [file for file in files if file not in report["files"]]:
        parser.error(f"{args.json} has no {', '.join(unknown)}")
    panels = [[entry for entry in report["files"][file] if "error" not in entry] for file in files]
    speeds = speed_axis(panels)
    width = LEFT + len(panels) * WIDTH + (len(panels) - 1) * GAP + RIGHT
    height = TOP + HEIGHT + BOTTOM
    threads = f"{report['threads']} thread" + ("s" if report["threads"] > 1 else "")
    made = f"{report['machine']['cpu']}, {report['level']}, {threads}, {report['date']}"
    middle = TOP + HEIGHT / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' font-family="sans-serif" role="img">',
        "<title>Size against decode speed of wcodec and other compressors</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        text(18, middle, "decode, GB/s (logarithmic, up is faster)", "middle", transform=f"rotate(-90 18 {middle:g})"),
        text(width - RIGHT, height - 12, made, "end", fill=FAINT, font_size=11),
    ]
    for number, (file, entries) in enumerate(zip(files, panels)):
        parts += panel(file, entries, LEFT + number * (WIDTH + GAP), speeds)
    with open(args.out, "w") as out:
        out.write("\n".join([*parts, "</svg>"]) + "\n")


if __name__ == "__main__":
    main()
