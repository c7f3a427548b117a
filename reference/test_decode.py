"""The library and the reference decoder, which share nothing but docs/FORMAT.md, must agree.

WCODEC names the command to test (default: target/release/wcodec); WCODEC_FILES the number of random files.
"""

import functools
import json
import os
import pathlib
import random
import struct
import subprocess
import sys

import numpy
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "reference"))

from decode import SIZES, Refused, decode  # noqa: E402

WCODEC = os.environ.get("WCODEC", str(ROOT / "target" / "release" / "wcodec"))
FILES = int(os.environ.get("WCODEC_FILES", "1000"))
BASES = [ROOT / "testdata" / "golden" / name for name in ("bases", "v1.4")]
GOLDEN = sorted((ROOT / "testdata" / "golden").glob("v*/*.wcodec"))
MALFORMED = sorted((ROOT / "testdata" / "malformed").glob("*.wcodec"))


def run(*args):
    return subprocess.run([WCODEC, *map(str, args)], capture_output=True, check=False)


@functools.cache
def originals():
    """Those of the golden files' bases."""
    base, noisy = ((BASES[0] / f"{name}.safetensors").read_bytes() for name in ("base", "noisy"))
    return base, noisy, decode((BASES[1] / "steps.wcodec").read_bytes(), [base])


def joined(path):
    """A file, or those of a folder one behind the other."""
    if path.is_file():
        return path.read_bytes()
    files = {os.fsencode(file.relative_to(path)): file for file in path.rglob("*") if file.is_file()}
    return b"".join(files[name].read_bytes() for name in sorted(files, key=lambda name: name.split(b"/")))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_files_decode_alike(path, tmp_path):
    folders = [word for folder in BASES for word in ("--base-path", folder)]
    done = run("decode", path, "-o", tmp_path / "out", *folders)
    assert done.returncode == 0, done.stderr
    assert decode(path.read_bytes(), originals()) == joined(tmp_path / "out")


@pytest.mark.parametrize("path", MALFORMED, ids=lambda path: path.stem)
def test_malformed_files_are_refused_by_both(path, tmp_path):
    # The library refuses large claims by its limits before it looks further; the format alone
    # refuses these files as well.
    assert run("decode", path, "-o", tmp_path / "out").returncode in (3, 4)
    with pytest.raises(Refused):
        decode(path.read_bytes())


def values(rng, size, count):
    """Bytes of a tensor of one of several characters."""
    bell = numpy.clip(rng.normal(0, 12, count), -127, 127).astype(numpy.int8)
    kind = rng.integers(6)
    if kind == 0:
        return rng.bytes(count * size)
    if kind == 1:
        return bytes(count * size)
    if kind == 2:
        slope = numpy.cumsum(rng.integers(-1, 2, count)).astype(numpy.int64)
        return b"".join(int(v).to_bytes(8, "little", signed=True)[:size] for v in slope)
    if kind == 3:
        return numpy.repeat(bell, size).tobytes()
    if kind == 4 and size in (2, 4, 8):
        return (bell * 0.01).astype(f"<f{size}").tobytes()
    return b"".join(int(v).to_bytes(8, "little", signed=True)[:size] for v in bell)


def random_file(rng):
    """A safetensors file of a few tensors, or something else."""
    if rng.integers(12) == 0:
        return rng.bytes(rng.integers(3000))
    header, data = [], b""
    for number in range(rng.integers(1, 4)):
        dtype = list(SIZES)[rng.integers(len(SIZES))]
        shape = [int(rng.choice([0, 1, 3, 17, 31, 32, 33, 40, 65])) for _ in range(rng.integers(4))]
        while numpy.prod(shape, dtype=int) > 5000:
            shape.pop()
        data_start = len(data)
        data += values(rng, SIZES[dtype], int(numpy.prod(shape, dtype=int)))
        entry = f'"t{number}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{data_start},{len(data)}]}}'
        header.append(entry)
    text = ("{" + ",".join(header) + "}").encode()
    return struct.pack("<Q", len(text)) + text + data


def test_random_files_decode_alike(tmp_path):
    features = set()
    for seed in range(FILES):
        rng = numpy.random.default_rng(seed)
        original = random_file(rng)
        (tmp_path / "in").write_bytes(original)
        args = ["encode", tmp_path / "in", "-o", tmp_path / "coded", "--force", "--quiet", "--threads", 1]
        if rng.integers(2):
            args += ["--tile", f"{rng.integers(1, 20)}x{rng.integers(1, 20)}"]
            args += ["--block", f"{rng.integers(8, 70)}x{rng.integers(8, 70)}"]
            args += ["--scan", str(rng.choice(["row", "column"]))]
        done = run(*args)
        assert done.returncode == 0, (seed, done.stderr)
        coded = (tmp_path / "coded").read_bytes()
        assert decode(coded) == original, seed
        table_at, blocks = struct.unpack_from("<QQ", coded, len(coded) - 128)
        features |= {coded[table_at + 24 * k + 20] for k in range(blocks)}
    assert FILES < 100 or features == {0, 1, 2, 3, 4}, "a mode of blocks did not occur"


def scaled(rng, dtype, shape):
    """Weights whose spread is a product of a factor of their row and one of their column."""
    factors = [2.0 ** rng.integers(-3, 4, n) for n in shape]
    weights = rng.normal(0, 1, shape) * factors[0][:, None] * factors[1][None, :]
    whole = numpy.clip(numpy.round(weights * 4), -127, 127)
    if rng.integers(2):
        mean = rng.integers(-3, 4, shape[0])[:, None] * rng.integers(-3, 4, shape[1])[None, :]
        whole = numpy.clip(whole + 3 * mean, -127, 127)
    if dtype in ("F16", "F32", "F64"):
        return weights.astype(f"<f{SIZES[dtype]}")
    if dtype == "BF16":
        return (weights.astype("<f4").view("<u4") >> 16).astype("<u2")
    return (whole + 128).astype("u1") if dtype == "U8" else whole.astype("i1")


def test_scale_classes_decode_alike(tmp_path):
    shares = []
    for seed, dtype in enumerate(["I8", "U8", "F16", "BF16", "F32", "F64"] * 3):
        rng = numpy.random.default_rng(seed)
        shape = (int(rng.integers(100, 200)), int(rng.integers(170, 260)))
        weights = scaled(rng, dtype, shape)
        entry = f'{{"w":{{"dtype":"{dtype}","shape":{list(shape)},"data_offsets":[0,{weights.nbytes}]}}}}'
        original = struct.pack("<Q", len(entry)) + entry.encode() + weights.tobytes()
        (tmp_path / "in").write_bytes(original)
        args = ["encode", tmp_path / "in", "-o", tmp_path / "coded", "--force", "--quiet", "--json"]
        if seed >= 6:
            args += ["--block", f"{rng.integers(40, 90)}x{rng.integers(90, 120)}"]
            args += ["--scan", ["row", "column"][seed // 6 - 1]]
        done = run(*args)
        assert done.returncode == 0, (seed, done.stderr)
        shares.append(json.loads(done.stdout)["scaled_elements"] / weights.size)
        assert decode((tmp_path / "coded").read_bytes()) == original, seed
    assert sum(share > 0.9 for share in shares) >= 10, shares


def tuned(rng, original, start):
    """Other bytes in some places behind the header."""
    data = numpy.frombuffer(original, numpy.uint8).copy()
    body = data[start:]
    where = rng.integers(0, 4, body.size) == 0
    if rng.integers(2):
        body[where] += rng.integers(0, 3, body.size).astype(numpy.uint8)[where]
    else:
        body[where] ^= numpy.uint8(1) << rng.integers(0, 8, body.size).astype(numpy.uint8)[where]
    return data.tobytes()


def test_predicted_files_decode_alike(tmp_path):
    predicted = 0
    for seed in range(FILES // 10):
        rng = numpy.random.default_rng(seed)
        base = random_file(rng)
        if len(base) < 8 or base[8:9] != b"{":
            continue
        fine = tuned(rng, base, 8 + struct.unpack_from("<Q", base)[0])
        (tmp_path / "base").write_bytes(base)
        (tmp_path / "in").write_bytes(fine)
        args = ["encode", tmp_path / "in", "-o", tmp_path / "coded", "--force", "--quiet", "--json"]
        args += ["--base", tmp_path / "base"]
        if rng.integers(2):
            args += ["--block", f"{rng.integers(8, 70)}x{rng.integers(8, 70)}"]
        done = run(*args)
        assert done.returncode == 0, (seed, done.stderr)
        predicted += json.loads(done.stdout)["base_elements"] > 0
        assert decode((tmp_path / "coded").read_bytes(), [base]) == fine, seed
    assert FILES < 100 or predicted > FILES // 50, predicted


def random_folder(rng, folder):
    """Files of a few kinds in a folder and folders in it, some of them more than once."""
    folder.mkdir()
    contents = [random_file(rng) for _ in range(3)] + [b"", b"text"]
    if contents[0][8:9] == b"{":
        contents.append(tuned(rng, contents[0], 8 + struct.unpack_from("<Q", contents[0])[0]))
    for _ in range(rng.integers(8)):
        place = folder.joinpath(*rng.choice(["a", "b", "a-b", "c.safetensors"], rng.integers(1, 4)))
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                place.write_bytes(contents[rng.integers(len(contents))])
        except (FileExistsError, NotADirectoryError):
            pass


def test_archives_decode_alike(tmp_path):
    copied = predicted = 0
    for seed in range(FILES // 10):
        rng = numpy.random.default_rng(seed)
        folder = tmp_path / f"folder{seed}"
        random_folder(rng, folder)
        args = ["encode", folder, "--archive", "-o", tmp_path / "coded", "--force", "--quiet", "--json"]
        done = run(*args)
        assert done.returncode == 0, (seed, done.stderr)
        stats = json.loads(done.stdout)
        copied += stats["copied_elements"] > 0
        predicted += stats["base_elements"] > 0
        assert decode((tmp_path / "coded").read_bytes()) == joined(folder), seed
    assert FILES < 100 or (copied > FILES // 50 and predicted > 0), (copied, predicted)


def test_damaged_files_are_refused_by_both(tmp_path):
    random.seed(1)
    for path in random.choices(GOLDEN, k=60):
        data = bytearray(path.read_bytes())
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        (tmp_path / "damaged").write_bytes(data)
        folders = [word for folder in BASES for word in ("--base-path", folder)]
        assert run("verify", tmp_path / "damaged", *folders).returncode in (3, 4, 5)
        with pytest.raises(Refused):
            decode(bytes(data), originals())
