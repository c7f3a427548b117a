"""Models out of ``.wcodec`` files."""

from __future__ import annotations

import os
from typing import Any

from ._options import Path


def load_model(path: Path, model_class: Any = None, *, device: Any = "cpu", **kwargs: Any) -> Any:
    """Loads a model whose weights are ``.wcodec``. They are decoded into tensors, not into a file.

    Args:
        path: a model folder of Hugging Face's layout (configuration beside ``model.safetensors.wcodec`` or
            its shards), the folder of a repository in Hugging Face's cache, or a ``.wcodec`` file.
        model_class: for a folder a class with ``from_pretrained``, ``transformers.AutoModel`` without it.
            For a file a function that builds the module; its state is loaded strictly.
        device: where the model is to be.
        kwargs: passed to ``from_pretrained``, or to the function that builds the module.

    Raises:
        OSError: the weights are not there, or cannot be read.
        WcodecError: they are damaged.
        RuntimeError: they do not fit the module.
        ValueError: ``path`` is a file and there is no ``model_class``.
    """
    text = os.fspath(path)
    if os.path.isfile(text):
        return _from_file(text, model_class, device, kwargs)
    from .transformers import enabled

    with enabled():
        if model_class is None:
            import transformers

            model_class = transformers.AutoModel
        model = model_class.from_pretrained(_snapshot(text), **kwargs)
    return model if device == "cpu" else model.to(device)


def _from_file(path: str, build: Any, device: Any, kwargs: Any) -> Any:
    if build is None:
        text = f"model_class is None, expected a function that builds the module for {path}"
        raise ValueError(text)
    from .torch import load_file

    module = build(**kwargs)
    module.load_state_dict(load_file(path), strict=True)
    return module.to(device)


def _snapshot(folder: str) -> str:
    """The model folder in the folder of a cached repository; any other folder as it is."""
    snapshots = os.path.join(folder, "snapshots")
    if os.path.isfile(os.path.join(folder, "config.json")) or not os.path.isdir(snapshots):
        return folder
    main = os.path.join(folder, "refs", "main")
    if os.path.isfile(main):
        with open(main, encoding="ascii") as file:
            return os.path.join(snapshots, file.read().strip())
    revisions = sorted(os.listdir(snapshots))
    if len(revisions) != 1:
        text = f"{snapshots} holds {len(revisions)} revisions and there is no {main}"
        raise FileNotFoundError(text)
    return os.path.join(snapshots, revisions[0])
