"""What ``wcodec.transformers`` replaces, without those libraries: that it answers, and that it is undone."""

import os
import shutil
import sys
import types

import pytest
import safetensors
import safetensors.numpy
import wcodec
import wcodec.transformers
from conftest import DEMO, same

#: What a library does: its own look-up, and a loader with names that it imported.
LIBRARY = """
import os
from safetensors import safe_open

def find(folder, name):
    path = os.path.join(folder, name)
    return path if os.path.isfile(path) and os.path.exists(path) else None

def load(path):
    with safe_open(path, framework="np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}
"""


@pytest.fixture
def library(monkeypatch):
    """A module of a library that was imported before anything is replaced."""
    module = types.ModuleType("transformers.modeling")
    exec(LIBRARY, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.fixture
def folder(tmp_path):
    wcodec.encode_checkpoint(
        DEMO / "silero-vad-int8.safetensors", tmp_path / "model.safetensors.wcodec"
    )
    return tmp_path


def test_a_library_finds_and_loads(library, folder):
    expected = safetensors.numpy.load_file(DEMO / "silero-vad-int8.safetensors")
    with wcodec.transformers.enabled():
        path = library.find(folder, "model.safetensors")
        loaded = library.load(path)
        again = safetensors.numpy.load_file(path)
        assert library.find(folder, "other.safetensors") is None
        # Nobody else is told of a file that is not there.
        assert not os.path.isfile(path) and not os.path.exists(path)
        late = types.ModuleType("transformers.late")
        exec(LIBRARY, late.__dict__)
        sys.modules[late.__name__] = late
    del sys.modules[late.__name__]
    for tensors in (loaded, again):
        assert all(same(tensors[name], expected[name]) for name in expected)
    assert library.find(folder, "model.safetensors") is None
    with pytest.raises(FileNotFoundError):
        library.load(path)


def test_plain_files_come_first(library, folder):
    shutil.copy(DEMO / "silero-vad-fp32.safetensors", folder / "model.safetensors")
    with wcodec.transformers.enabled():
        loaded = library.load(library.find(folder, "model.safetensors"))
    assert loaded.keys() == safetensors.numpy.load_file(DEMO / "silero-vad-fp32.safetensors").keys()


def test_encoded_files_by_their_own_name(library, folder):
    with wcodec.transformers.enabled():
        assert library.load(folder / "model.safetensors.wcodec")


def test_everything_is_undone(library):
    before = (
        safetensors.safe_open,
        safetensors.numpy.safe_open,
        library.safe_open,
        os.path.isfile,
        os.path.exists,
    )
    wcodec.transformers.enable()
    with wcodec.transformers.enabled():
        late = types.ModuleType("transformers.late")
        sys.modules[late.__name__] = late
        exec(LIBRARY, late.__dict__)
    assert safetensors.safe_open is not before[0], "still enabled"
    wcodec.transformers.disable()
    after = (
        safetensors.safe_open,
        safetensors.numpy.safe_open,
        library.safe_open,
        os.path.isfile,
        os.path.exists,
    )
    assert after == before
    assert late.safe_open is before[0], "modules that were imported meanwhile, too"
    del sys.modules[late.__name__]
    with pytest.raises(RuntimeError, match="not enabled"):
        wcodec.transformers.disable()
    with pytest.raises(ZeroDivisionError), wcodec.transformers.enabled():
        raise ZeroDivisionError
    assert os.path.isfile is before[3]


def test_a_file_without_a_class_is_refused(folder):
    with pytest.raises(ValueError, match="model_class is None"):
        wcodec.load_model(folder / "model.safetensors.wcodec")


def test_the_folder_of_a_cached_repository(tmp_path):
    from wcodec._model import _snapshot

    assert _snapshot(str(tmp_path)) == str(tmp_path)
    first = tmp_path / "snapshots" / "abc"
    first.mkdir(parents=True)
    assert _snapshot(str(tmp_path)) == str(first)
    (tmp_path / "snapshots" / "def").mkdir()
    with pytest.raises(FileNotFoundError, match="2 revisions"):
        _snapshot(str(tmp_path))
    (tmp_path / "refs").mkdir()
    (tmp_path / "refs" / "main").write_text("def")
    assert _snapshot(str(tmp_path)) == str(tmp_path / "snapshots" / "def")
