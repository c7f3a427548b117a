"""Lossless codec for neural-network weights.

A checkpoint goes in, a smaller ``.wcodec`` file comes out, and the original comes back byte for byte.

    import wcodec

    wcodec.encode_checkpoint("model.safetensors", "model.safetensors.wcodec")
    with wcodec.safe_open("model.safetensors.wcodec", framework="np") as file:
        rows = file.get_slice("embedding.weight")[100:200]

``wcodec.numpy``, ``wcodec.torch`` and ``wcodec.jax`` load and save dictionaries of tensors with the
functions of the safetensors package; ``wcodec.transformers`` makes ``from_pretrained`` find
``.wcodec`` files. None of them is imported before it is asked for.

Files are encoded and decoded by one thread per core, or as many as the environment variable
``RAYON_NUM_THREADS`` says when the first file is opened. Checkpoints that files are predicted from are given as
``base``, or found in the folders that ``WCODEC_BASE_PATH`` lists.
"""

from ._checkpoint import (
    decode_checkpoint,
    decode_layer_numpy,
    encode_checkpoint,
    encode_layer_numpy,
)
from ._diff import Diff, FileDiff, LayerDiff, diff
from ._errors import (
    CorruptError,
    LimitError,
    MissingBaseError,
    TruncatedError,
    UnsupportedError,
    WcodecError,
)
from ._model import load_model
from ._reader import Layer, Reader, open
from ._safe_open import Slice, safe_open
from ._stats import DecodeStats, EncodeStats, Stats
from ._wcodec import FORMAT_VERSION, __version__

__all__ = [
    "FORMAT_VERSION",
    "CorruptError",
    "DecodeStats",
    "Diff",
    "EncodeStats",
    "FileDiff",
    "Layer",
    "LayerDiff",
    "LimitError",
    "MissingBaseError",
    "Reader",
    "Slice",
    "Stats",
    "TruncatedError",
    "UnsupportedError",
    "WcodecError",
    "__version__",
    "decode_checkpoint",
    "decode_layer_numpy",
    "diff",
    "encode_checkpoint",
    "encode_layer_numpy",
    "load_model",
    "open",
    "safe_open",
]
