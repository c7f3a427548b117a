"""Hugging Face's libraries, made to find ``.wcodec`` files where they look for ``.safetensors``.

    with wcodec.transformers.enabled():
        model = AutoModel.from_pretrained("folder")

Where ``model.safetensors`` or ``model-00001-of-00003.safetensors`` is looked for and is not there, but a
file of that name with ``.wcodec`` behind it is, the latter is read. The weights are decoded straight
into tensors, never into a file. Without such a file everything is as it was.

transformers has no hook for this, so these functions are replaced while it is enabled, and put
back afterwards:

- ``safe_open`` of safetensors, in whatever module has imported it;
- ``os.path.isfile`` and ``os.path.exists``: the answers to these libraries change, others' do not;
- ``hf_hub_download``, ``snapshot_download`` and ``try_to_load_from_cache`` of huggingface_hub, in modules
  of these libraries: they look for the name with ``.wcodec`` behind it, too.

``scripts/test_frameworks.sh`` in wcodec's repository tells the versions that this was tested with.
The option ``disable_mmap`` of ``from_pretrained`` reads files without safetensors and cannot be used.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable

from ._safe_open import safe_open

#: The libraries whose look-ups are answered.
_LIBRARIES = ("accelerate", "diffusers", "peft", "sentence_transformers", "transformers", "vllm")

_SUFFIX = ".wcodec"

_lock = threading.Lock()
_depth = 0
#: The function that stands in for another, and the other: ``{name: (ours, original)}``.
_replaced: dict[str, tuple[Any, Any]] = {}


@contextmanager
def enabled() -> Iterator[None]:
    """Inside, ``from_pretrained`` and what is like it find ``.wcodec`` files, in all threads."""
    enable()
    try:
        yield
    finally:
        disable()


def enable() -> None:
    """From here on, ``from_pretrained`` and what is like it find ``.wcodec`` files.

    Raises:
        ImportError: safetensors is not installed.
    """
    global _depth
    with _lock:
        if _depth == 0:
            _replaced.update(_replacements())
            _exchange({name: (theirs, ours) for name, (ours, theirs) in _replaced.items()})
        _depth += 1


def disable() -> None:
    """Undoes one call of :func:`enable`; after the last, everything is as it was."""
    global _depth
    with _lock:
        if _depth == 0:
            raise RuntimeError("it is not enabled")
        _depth -= 1
        if _depth == 0:
            _exchange(_replaced)
            _replaced.clear()


def _replacements() -> dict[str, tuple[Any, Any]]:
    import safetensors

    found: dict[str, tuple[Any, Any]] = {
        "safe_open": (_opener(safetensors.safe_open), safetensors.safe_open),
        "isfile": (_finder(os.path.isfile), os.path.isfile),
        "exists": (_finder(os.path.exists), os.path.exists),
    }
    try:
        import huggingface_hub as hub
    except ImportError:
        return found
    found["hf_hub_download"] = (_downloader(hub.hf_hub_download), hub.hf_hub_download)
    found["snapshot_download"] = (_snapshot(hub.snapshot_download), hub.snapshot_download)
    cached = hub.try_to_load_from_cache
    found["try_to_load_from_cache"] = (_cached(cached), cached)
    return found


def _exchange(pairs: dict[str, tuple[Any, Any]]) -> None:
    """Puts the second of each pair where the first is, in every module that may have it."""
    for module_name, module in list(sys.modules.items()):
        names = getattr(module, "__dict__", {})
        for name in _names_for(module_name):
            if name in pairs and names.get(name) is pairs[name][0]:
                setattr(module, name, pairs[name][1])


def _names_for(module_name: str) -> list[str]:
    """The functions that are replaced in a module."""
    if module_name == os.path.__name__:
        return ["isfile", "exists"]
    names = ["safe_open"]
    if module_name == "huggingface_hub" or module_name.partition(".")[0] in _LIBRARIES:
        names += ["hf_hub_download", "snapshot_download", "try_to_load_from_cache"]
    return names


def _encoded(path: Any) -> str | None:
    """The ``.wcodec`` file that stands in for a safetensors file."""
    try:
        name = os.fspath(path)
    except TypeError:
        return None
    if not isinstance(name, str) or not name.endswith(".safetensors"):
        return None
    isfile = _replaced["isfile"][1] if _replaced else os.path.isfile
    return name + _SUFFIX if not isfile(name) and isfile(name + _SUFFIX) else None


def _opener(original: Any) -> Callable[..., Any]:
    def open_either(filename: Any, *args: Any, **kwargs: Any) -> Any:
        encoded = _encoded(filename)
        if encoded is None and str(filename).endswith(_SUFFIX):
            encoded = os.fspath(filename)
        if encoded is None:
            return original(filename, *args, **kwargs)
        return safe_open(encoded, *args, **kwargs)

    return open_either


def _finder(original: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def find(path: Any) -> bool:
        if original(path):
            return True
        library = sys._getframe(1).f_globals.get("__name__", "").partition(".")[0]
        return library in _LIBRARIES and _encoded(path) is not None

    return find


def _downloader(original: Any) -> Callable[..., str]:
    def download(repo_id: str, filename: str, *args: Any, **kwargs: Any) -> str:
        from huggingface_hub.utils import EntryNotFoundError

        try:
            path: str = original(repo_id, filename, *args, **kwargs)
        except EntryNotFoundError:
            if not filename.endswith(".safetensors"):
                raise
            try:
                path = original(repo_id, filename + _SUFFIX, *args, **kwargs)
            except EntryNotFoundError:
                pass
            else:
                return path[: -len(_SUFFIX)]
            raise
        return path

    return download


def _snapshot(original: Any) -> Callable[..., str]:
    def download(*args: Any, **kwargs: Any) -> str:
        patterns = kwargs.get("allow_patterns")
        if patterns is not None:
            patterns = [patterns] if isinstance(patterns, str) else list(patterns)
            more = [p + _SUFFIX for p in patterns if p.endswith(".safetensors")]
            kwargs["allow_patterns"] = patterns + more
        path: str = original(*args, **kwargs)
        return path

    return download


def _cached(original: Any) -> Callable[..., Any]:
    def look_up(repo_id: str, filename: str, *args: Any, **kwargs: Any) -> Any:
        found = original(repo_id, filename, *args, **kwargs)
        if isinstance(found, str) or not filename.endswith(".safetensors"):
            return found
        encoded = original(repo_id, filename + _SUFFIX, *args, **kwargs)
        return encoded[: -len(_SUFFIX)] if isinstance(encoded, str) else found

    return look_up
