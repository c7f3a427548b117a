"""Side by side with the safetensors package: the same keys, metadata, tensors, slices and files."""

import json

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy
import wcodec
import wcodec.numpy
from conftest import DEMO, DTYPES, noise, same

MODELS = [DEMO / "silero-vad-fp32.safetensors", DEMO / "silero-vad-int8.safetensors"]


def compare(original, coded):
    theirs = safetensors.safe_open(original, framework="np")
    with wcodec.safe_open(coded, framework="np") as ours:
        assert ours.keys() == theirs.keys()
        # Empty tensors have no place of their own.
        filled = [
            name for name in theirs.keys() if theirs.get_slice(name).get_shape().count(0) == 0
        ]
        order = [name for name in theirs.offset_keys() if name in filled]
        assert [name for name in ours.offset_keys() if name in filled] == order
        assert ours.metadata() == theirs.metadata()
        for name in theirs.keys():
            expected = theirs.get_tensor(name)
            assert same(ours.get_tensor(name), expected), name
            a, b = ours.get_slice(name), theirs.get_slice(name)
            assert a.get_shape() == b.get_shape() and a.get_dtype() == b.get_dtype()
            assert same(a[...], expected)
            if expected.ndim and expected.shape[0] > 3:
                assert same(a[1:3], b[1:3]) and same(a[2], b[2]) and same(a[::2], expected[::2])
        tensors = ours.get_tensors()
        assert list(tensors) == ours.offset_keys()
    expected = safetensors.numpy.load_file(original)
    loaded = wcodec.numpy.load_file(coded)
    assert loaded.keys() == expected.keys() == tensors.keys()
    assert all(same(loaded[name], expected[name]) for name in expected)


@pytest.mark.parametrize("original", MODELS, ids=lambda path: path.stem)
def test_a_model_side_by_side(tmp_path, original):
    wcodec.encode_checkpoint(original, tmp_path / "m.wcodec")
    compare(original, tmp_path / "m.wcodec")


def test_the_corpus_side_by_side(tmp_path, corpus):
    for original in sorted((corpus / "files").glob("*.safetensors")):
        if original.stat().st_size < 30_000_000:
            wcodec.encode_checkpoint(original, tmp_path / "m.wcodec", effort="fast", overwrite=True)
            compare(original, tmp_path / "m.wcodec")


def everything():
    """Tensors of all dtypes that safetensors reads, with odd names and shapes."""
    kinds = {name: kind for name, kind in DTYPES.items() if not name.startswith("F8")}
    tensors = {f"noise.{name}": noise(kind, (5, 3)) for name, kind in kinds.items()}
    tensors["complex"] = noise(np.complex64, (4,))
    tensors.update({'quoted "\\ \n': np.zeros((2, 0), np.int8), "": np.array(1.5), "é": np.ones(3)})
    return tensors


@pytest.mark.parametrize("metadata", [None, {}, {"format": "np"}, {"text": 'a "b" \n é'}])
def test_saved_files_decode_to_what_safetensors_writes(tmp_path, metadata):
    tensors = everything()
    safetensors.numpy.save_file(tensors, tmp_path / "theirs", metadata)
    wcodec.numpy.save_file(tensors, tmp_path / "ours.wcodec", metadata)
    wcodec.decode_checkpoint(tmp_path / "ours.wcodec", tmp_path / "ours")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    compare(tmp_path / "theirs", tmp_path / "ours.wcodec")
    loaded = wcodec.numpy.load(wcodec.numpy.save(tensors, metadata))
    assert all(same(loaded[name], tensors[name]) for name in tensors)


def test_rare_dtypes_are_saved_as_safetensors_does(tmp_path):
    """safetensors writes these from NumPy, but does not read them."""
    names = [f"float8_{kind}" for kind in ("e4m3fn", "e5m2", "e8m0fnu", "e4m3fnuz", "e5m2fnuz")]
    tensors = {name: noise(getattr(ml_dtypes, name), (7, 3)) for name in names}
    safetensors.numpy.save_file(tensors, tmp_path / "theirs")
    wcodec.numpy.save_file(tensors, tmp_path / "ours.wcodec")
    wcodec.decode_checkpoint(tmp_path / "ours.wcodec", tmp_path / "ours")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    loaded = wcodec.numpy.load_file(tmp_path / "ours.wcodec")
    assert all(same(loaded[name], tensors[name]) for name in tensors)


def test_nothing_can_be_saved(tmp_path):
    wcodec.numpy.save_file({}, tmp_path / "m.wcodec")
    assert wcodec.numpy.load_file(tmp_path / "m.wcodec") == {}


def test_an_existing_file_is_replaced(tmp_path):
    path = tmp_path / "m.wcodec"
    path.write_bytes(b"old")
    wcodec.numpy.save_file({"a": np.zeros(3)}, path)
    assert list(wcodec.numpy.load_file(path)) == ["a"]
    assert [p.name for p in tmp_path.iterdir()] == ["m.wcodec"]


def test_examples_of_the_documentation(tmp_path, monkeypatch):
    """Those of safetensors' README and of its reference, with the import changed."""
    monkeypatch.chdir(tmp_path)
    from wcodec import safe_open
    from wcodec.numpy import load, load_file, save, save_file

    tensors = {"weight1": np.zeros((1024, 1024)), "weight2": np.zeros((1024, 1024))}
    save_file(tensors, "model.safetensors")

    tensors = {}
    with safe_open("model.safetensors", framework="np", device="cpu") as f:
        for key in f.keys():
            tensors[key] = f.get_tensor(key)
    assert set(tensors) == {"weight1", "weight2"}

    with safe_open("model.safetensors", framework="numpy") as f:
        tensor_slice = f.get_slice("weight1")
        vocab_size, hidden_dim = tensor_slice.get_shape()
        tensor = tensor_slice[:, : hidden_dim // 2]
    assert tensor.shape == (1024, 512)

    save_file(
        {"embedding": np.zeros((512, 1024)), "attention": np.zeros((256, 256))}, "b", {"k": "v"}
    )
    loaded = load_file("b")
    assert loaded["embedding"].shape == (512, 1024)
    with safe_open("b", "np") as f:
        tensor_part = f.get_slice("embedding")[:, ::8]
        assert f.metadata() == {"k": "v"}
    assert tensor_part.shape == (512, 128)

    byte_data = save({"embedding": np.zeros((512, 1024))})
    assert load(byte_data)["embedding"].shape == (512, 1024)


def test_frameworks_and_devices(tmp_path):
    path = tmp_path / "m.wcodec"
    wcodec.numpy.save_file({"a": np.zeros(3)}, path)
    with pytest.raises(ValueError, match="framework is 'tf', expected one of np, numpy, pt"):
        wcodec.safe_open(path, "tf")
    with pytest.raises(ValueError, match="device is 'cuda', expected 'cpu'"):
        wcodec.safe_open(path, "np", device="cuda")

    class Device:
        def __str__(self):
            return "cpu"

    assert wcodec.safe_open(path, "np", device=Device()).keys() == ["a"]
    file = wcodec.safe_open(path, framework="np", backend="pread")
    file.__exit__(None, None, None)
    for use in (file.keys, file.metadata, lambda: file.get_tensor("a")):
        with pytest.raises(ValueError, match="closed"):
            use()


def test_metadata_of_other_files(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 4)))
    wcodec.encode_checkpoint(tmp_path / "a.npy", tmp_path / "a.wcodec")
    assert wcodec.safe_open(tmp_path / "a.wcodec", "np").metadata() is None
    assert wcodec.Reader.from_bytes(wcodec.encode_layer_numpy(np.zeros(3))[0]).metadata() is None


@pytest.mark.parametrize("header", [[], {"__metadata__": 7}, {"__metadata__": "text"}])
def test_metadata_that_is_none(monkeypatch, header):
    reader = wcodec.Reader.from_bytes(wcodec.numpy.save({"a": np.zeros(3)}))
    monkeypatch.setattr("wcodec._reader.json.loads", lambda _: header)
    with pytest.raises(wcodec.CorruptError, match="no safetensors file"):
        reader.metadata()


def test_many_small_tensors(tmp_path):
    tensors = {f"t{i}": np.full(i % 5, i, np.int16) for i in range(3000)}
    safetensors.numpy.save_file(tensors, tmp_path / "m", {"n": json.dumps([1])})
    wcodec.encode_checkpoint(tmp_path / "m", tmp_path / "m.wcodec")
    compare(tmp_path / "m", tmp_path / "m.wcodec")
