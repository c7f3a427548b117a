#!/usr/bin/env python3
"""Writes the small files of testdata/sources: scripts/make_sources.py FOLDER

An ONNX model, and a PyTorch checkpoint in the zip and in the legacy format. Needs numpy and onnx, and no PyTorch: its
classes are stood in for by name, and the pickles are those that Python writes.
"""

import collections
import io
import pathlib
import pickle
import struct
import sys
import types
import zipfile

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def weights(seed, *shape):
    """Bell-shaped weights whose rows have scales of their own."""
    rng = numpy.random.default_rng(seed)
    scale = 2.0 ** rng.integers(-3, 3, (shape[0],) + (1,) * (len(shape) - 1))
    return (rng.standard_normal(shape) * scale).astype("<f4")


def onnx_model():
    """Initialisers of several types, a constant without a name, and a graph in an attribute."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["inner.weight"], ["inner"])], "body", [], [],
        [numpy_helper.from_array(weights(3, 24, 40).astype("<f2"), "inner.weight")])
    constant = numpy_helper.from_array(weights(4, 20, 50))
    nodes = [
        helper.make_node("Constant", [], ["constant"], value=constant),
        helper.make_node("If", ["flag"], ["y"], then_branch=body, else_branch=body),
    ]
    bytes_ = numpy.clip(weights(5, 30, 64) * 20, -127, 127).astype("i1")
    initializers = [
        numpy_helper.from_array(weights(6, 32, 48), "encoder.weight"),
        numpy_helper.from_array(bytes_, "encoder.codes"),
        helper.make_tensor("floats", TensorProto.FLOAT, [3, 64], weights(7, 3, 64).ravel()),
        helper.make_tensor("numbers", TensorProto.INT64, [3], [1, -1, 1 << 40]),
        helper.make_tensor("empty", TensorProto.FLOAT, [0, 4], []),
    ]
    graph = helper.make_graph(nodes, "golden", [], [], initializers)
    model = helper.make_model(graph, producer_name="golden", ir_version=8,
                              opset_imports=[helper.make_opsetid("", 17)])
    return model.SerializeToString(deterministic=True)


class Storage:
    def __init__(self, kind, array):
        self.kind, self.array = kind, array


class Tensor:
    """A view of a storage, pickled as PyTorch does it."""

    def __init__(self, storage, offset, shape, strides=None):
        dense = [int(numpy.prod(shape[k + 1 :], dtype=int)) for k in range(len(shape))]
        self.state = storage, offset, tuple(shape), tuple(strides or dense), False, collections.OrderedDict()

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.state


def stand_ins(kinds=("FloatStorage", "HalfStorage", "LongStorage")):
    """Modules with the names that checkpoints refer to."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*state):
        raise NotImplementedError

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2, torch._utils = _rebuild_tensor_v2, utils
    for kind in kinds:
        setattr(torch, kind, type(kind, (), {"__module__": "torch"}))
    sys.modules.update({"torch": torch, "torch._utils": utils})


def checkpoint():
    """Tensors that have a storage, share one, are transposed, are scalars, and an optimizer's."""
    shared = Storage("FloatStorage", numpy.concatenate([weights(8, 30, 32).ravel(), weights(9, 8, 24).ravel()]))
    turned = Storage("HalfStorage", weights(10, 24, 36).astype("<f2"))
    step = Storage("LongStorage", numpy.array([1000], "<i8"))
    moment = Storage("FloatStorage", numpy.square(weights(11, 30, 32)))
    model = collections.OrderedDict()
    model["layer.weight"] = Tensor(shared, 0, (30, 32))
    model["layer.tied"] = model["layer.weight"]
    model["head.weight"] = Tensor(shared, 960, (8, 24))
    model["turned"] = Tensor(turned, 0, (36, 24), (1, 36))
    state = {0: {"step": Tensor(step, 0, ()), "exp_avg_sq": Tensor(moment, 0, (30, 32))}}
    return {"epoch": 3, "model": model, "optimizer": {"state": state, "lr": 0.125}}


def dump(value, out, legacy):
    """Writes a pickle; returns the storages by key."""
    keys = {}

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            if not isinstance(obj, Storage):
                return None
            key = keys.setdefault(id(obj), (str(len(keys)), obj))[0]
            kind = getattr(sys.modules["torch"], obj.kind)
            return ("storage", kind, key, "cpu", obj.array.size) + ((None,) if legacy else ())

    Pickler(out, protocol=2).dump(value)
    return dict(keys.values())


def write_zip(value, path):
    """Members begin at multiples of 64, as PyTorch's do, by a padding in the extra field."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:

        def member(name, data):
            info = zipfile.ZipInfo(f"small/{name}", (1980, 1, 1, 0, 0, 0))
            at = archive.fp.tell() + 30 + len(info.filename)
            pad = -(at + 4) % 64
            info.extra = b"FB" + struct.pack("<H", pad) + b"Z" * pad
            archive.writestr(info, data)

        out = io.BytesIO()
        storages = dump(value, out, legacy=False)
        member("data.pkl", out.getvalue())
        member("byteorder", b"little")
        for key, storage in storages.items():
            member(f"data/{key}", storage.array.tobytes())
        member("version", b"3\n")


def write_legacy(value, path):
    with path.open("wb") as out:
        pickle.dump(MAGIC, out, protocol=2)
        pickle.dump(PROTOCOL, out, protocol=2)
        pickle.dump({"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"int": 4}}, out, protocol=2)
        storages = dump(value, out, legacy=True)
        pickle.dump(sorted(storages), out, protocol=2)
        for key in sorted(storages):
            out.write(struct.pack("<Q", storages[key].array.size) + storages[key].array.tobytes())


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "small.onnx").write_bytes(onnx_model())
    stand_ins()
    write_zip(checkpoint(), folder / "small.pth")
    write_legacy(checkpoint(), folder / "small_legacy.pt")


if __name__ == "__main__":
    main()
