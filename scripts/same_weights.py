#!/usr/bin/env python3
"""Writes the weights of a safetensors file three times: scripts/same_weights.py FILE.safetensors FOLDER

The folder will hold a copy of the file, a PyTorch checkpoint in the zip format and an ONNX model of its tensors, and an index as large
models have it. An archive of it should hardly be larger than the encoded file. Needs numpy and onnx.
"""

import collections
import json
import pathlib
import shutil
import struct
import sys

import numpy
import onnx
from onnx import TensorProto, helper

import make_sources
from make_sources import Storage, Tensor

#: By dtype: the type of a PyTorch storage, that of ONNX, bytes of an element.
KINDS = {
    "F32": ("FloatStorage", TensorProto.FLOAT, 4), "F16": ("HalfStorage", TensorProto.FLOAT16, 2),
    "BF16": ("BFloat16Storage", TensorProto.BFLOAT16, 2), "I8": ("CharStorage", TensorProto.INT8, 1),
    "U8": ("ByteStorage", TensorProto.UINT8, 1), "I32": ("IntStorage", TensorProto.INT32, 4),
    "I64": ("LongStorage", TensorProto.INT64, 8), "F64": ("DoubleStorage", TensorProto.DOUBLE, 8),
    "BOOL": ("BoolStorage", TensorProto.BOOL, 1),
}


def tensors(path):
    data = path.read_bytes()
    length = struct.unpack_from("<Q", data)[0]
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            yield name, entry["dtype"], entry["shape"], data[begin:end]


def main():
    source, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    make_sources.stand_ins([kind for kind, _, _ in KINDS.values()])
    state, initializers = collections.OrderedDict(), []
    for name, dtype, shape, data in tensors(source):
        kind, number, size = KINDS[dtype]
        state[name] = Tensor(Storage(kind, numpy.frombuffer(data, f"V{size}")), 0, shape)
        initializers.append(helper.make_tensor(name, number, shape, data, raw=True))
    shutil.copyfile(source, folder / "model.safetensors")
    make_sources.write_zip(state, folder / "pytorch_model.bin")
    graph = helper.make_graph([], "weights", [], [], initializers)
    onnx.save(helper.make_model(graph, ir_version=8), folder / "model.onnx")
    index = {"metadata": {}, "weight_map": dict.fromkeys(state, "model.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))


if __name__ == "__main__":
    main()
