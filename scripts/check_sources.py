#!/usr/bin/env python3
"""Checks ONNX and PyTorch files against readers of their own: scripts/check_sources.py WCODEC FOLDER [NAME ...]

Each .onnx, .pt and .pth file of the folder must come back byte for byte, and the names, dtypes and shapes of its layers
must be those that the onnx package, or a restricted unpickler, finds. Prints how much larger the coded file is than
the same tensors coded from safetensors. Needs numpy and onnx.
"""

import collections
import json
import math
import pathlib
import pickle
import re
import struct
import subprocess
import sys
import tempfile
import zipfile

import onnx
from onnx import numpy_helper

ONNX_DTYPES = {1: "F32", 2: "U8", 3: "I8", 4: "U16", 5: "I16", 6: "I32", 7: "I64", 9: "BOOL", 10: "F16", 11: "F64",
               12: "U32", 13: "U64", 16: "BF16", 17: "F8_E4M3", 19: "F8_E5M2"}
TORCH_DTYPES = {"FloatStorage": ("F32", 4), "DoubleStorage": ("F64", 8), "HalfStorage": ("F16", 2),
                "BFloat16Storage": ("BF16", 2), "LongStorage": ("I64", 8), "IntStorage": ("I32", 4),
                "ShortStorage": ("I16", 2), "CharStorage": ("I8", 1), "ByteStorage": ("U8", 1),
                "BoolStorage": ("BOOL", 1)}
LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."

# A tensor: its name, dtype, shape and bytes, and whether they lie in the file as they are in memory.
Tensor = collections.namedtuple("Tensor", "name dtype shape data plain")


def onnx_tensor(tensor, name):
    plain = not tensor.int32_data and not tensor.int64_data and not tensor.uint64_data
    return Tensor(tensor.name or name, ONNX_DTYPES[tensor.data_type], list(tensor.dims),
                  numpy_helper.to_array(tensor).tobytes(), plain)


def onnx_tensors(graph):
    """All tensors of a graph and the graphs in it; those without a name have that of the node's output."""
    yield from (onnx_tensor(tensor, "tensor") for tensor in graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield onnx_tensor(attribute.t, node.output[0])
            yield from (onnx_tensor(tensor, node.output[0]) for tensor in attribute.tensors)
            for inner in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
                yield from onnx_tensors(inner)


class Unpickler(pickle.Unpickler):
    """Knows ordered dicts, tensors and storages, and nothing else."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, *rest: ("tensor", storage, offset, shape)
        if module == "torch" and name in TORCH_DTYPES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name}")

    def persistent_load(self, pid):
        return pid[2], *TORCH_DTYPES[pid[1]], pid[4]


def torch_tensors(value, storages, name=""):
    """The tensors that an unpickled value holds, by their paths."""
    if isinstance(value, tuple) and value[:1] == ("tensor",):
        (key, dtype, size, _), offset, shape = value[1:]
        start = offset * size
        yield Tensor(name, dtype, list(shape), storages[key][start : start + size * math.prod(shape)], True)
    elif isinstance(value, (dict, list, tuple)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from torch_tensors(inner, storages, f"{name}.{key}" if name else str(key))


def read_legacy(file):
    file.seek(len(LEGACY))
    Unpickler(file).load()
    assert Unpickler(file).load()["little_endian"]
    sizes = {}

    class Sized(Unpickler):
        def persistent_load(self, pid):
            sizes[pid[2]] = TORCH_DTYPES[pid[1]][1]
            return super().persistent_load(pid)

    value = Sized(file).load()
    storages = {}
    for key in Unpickler(file).load():
        (count,) = struct.unpack("<Q", file.read(8))
        storages[key] = file.read(count * sizes[key])
    return value, storages


def read_zip(path):
    with zipfile.ZipFile(path) as archive:
        root = archive.namelist()[0].split("/")[0]
        with archive.open(f"{root}/data.pkl") as file:
            value = Unpickler(file).load()
        names = [name for name in archive.namelist() if name.startswith(f"{root}/data/")]
        return value, {name.split("/")[-1]: archive.read(name) for name in names}


def tensors_of(path):
    if path.suffix == ".onnx":
        return list(onnx_tensors(onnx.load(path).graph))
    with path.open("rb") as file:
        legacy = file.read(len(LEGACY)) == LEGACY
        value, storages = read_legacy(file) if legacy else read_zip(path)
    return list(torch_tensors(value, storages))


def write_safetensors(tensors, path):
    header, at = {}, 0
    for number, tensor in enumerate(tensors):
        name = tensor.name if tensor.name not in header else f"{tensor.name}#{number}"
        end = at + len(tensor.data)
        header[name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(tensor.data for tensor in tensors))


def key(name, dtype, shape):
    return re.sub(r"#\d+$", "", name), dtype, tuple(shape)


def check(wcodec, path, folder):
    def run(*args):
        return subprocess.run([wcodec, *map(str, args)], check=True, capture_output=True, text=True)

    coded, back, plain = folder / "coded", folder / "back", folder / "tensors.safetensors"
    done = run("encode", path, "-o", coded, "--force", "--quiet")
    assert not done.stderr, done.stderr
    run("decode", coded, "-o", back, "--force", "--quiet")
    assert back.read_bytes() == path.read_bytes(), f"{path} does not come back"
    info = json.loads(run("info", coded, "--json", "--layers").stdout)
    tensors = tensors_of(path)
    have = collections.Counter(key(layer["name"], layer["dtype"], layer["shape"]) for layer in info["layer_list"])
    want = collections.Counter(key(*tensor[:3]) for tensor in tensors if tensor.plain)
    assert have == want, f"{path}: {(have - want).most_common(3)} instead of {(want - have).most_common(3)}"
    write_safetensors(tensors, plain)
    run("encode", plain, "-o", folder / "plain", "--force", "--quiet")
    size, base = coded.stat().st_size, (folder / "plain").stat().st_size
    other = len(tensors) - sum(want.values())
    print(f"| {path.name} | {info['source']} | {sum(have.values())} | {other} | {path.stat().st_size:,} | {size:,} | "
          f"{100 * size / path.stat().st_size:.2f} % | {100 * (size / base - 1):+.2f} % |", flush=True)
    return size <= 1.01 * base


def main():
    wcodec, folder, names = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    paths = [path for path in sorted(folder.iterdir()) if path.suffix in (".onnx", ".pt", ".pth")]
    paths = [path for path in paths if not names or path.name in names]
    print("| file | source | layers | other tensors | bytes | coded | of the file | against safetensors |")
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as work:
        fine = [check(wcodec, path, pathlib.Path(work)) for path in paths]
    sys.exit(0 if all(fine) else "more than 1 % larger than the same tensors as safetensors")


if __name__ == "__main__":
    main()
