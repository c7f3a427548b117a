"""Whatever goes in comes back, bit for bit."""

import copy
import pickle
import sys

import numpy as np
import pytest
import wcodec
import wcodec.numpy
from conftest import DEMO, DTYPES, noise, same, weights

SHAPES = [(), (0,), (1,), (7,), (3, 0, 2), (64, 96), (5, 6, 7), (1000, 33)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_layers_of_every_dtype_and_shape(dtype):
    for shape in SHAPES:
        array = noise(DTYPES[dtype], shape)
        coded, stats = wcodec.encode_layer_numpy(array)
        assert same(wcodec.decode_layer_numpy(coded), array)
        assert stats.original_bytes == array.nbytes
        # Layers below that are coded as bytes.
        assert stats.elements == array.size or array.nbytes < 512
        layer = wcodec.Reader.from_bytes(coded).layers["array"]
        assert (layer.dtype, layer.shape, layer.nbytes) == (dtype, shape, array.nbytes)


def test_every_pattern_of_narrow_floats():
    for dtype in ("BF16", "F16", "F8_E4M3", "F8_E5M2"):
        width = np.dtype(DTYPES[dtype]).itemsize
        array = np.arange(256**width, dtype=f"u{width}").view(DTYPES[dtype])
        assert same(wcodec.decode_layer_numpy(wcodec.encode_layer_numpy(array)[0]), array)


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a.T,
        lambda a: a[::2, ::-1],
        lambda a: np.asfortranarray(a),
        lambda a: a.astype(">f4"),
        lambda a: np.broadcast_to(a[:1], a.shape),
        lambda a: (
            np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view(np.float32).reshape(a.shape)
        ),
        lambda a: a.view(type("Sub", (np.ndarray,), {})),
    ],
    ids=["transposed", "strided", "fortran", "big-endian", "broadcast", "misaligned", "subclass"],
)
def test_layers_of_any_memory_layout(view):
    array = view(weights((40, 60)))
    array.flags.writeable = False
    expected = np.ascontiguousarray(array, np.float32)
    assert same(wcodec.decode_layer_numpy(wcodec.encode_layer_numpy(array)[0]), expected)
    coded = wcodec.numpy.save({"w": array})
    assert same(wcodec.numpy.load(coded)["w"], expected)


def test_options_of_a_layer():
    array = np.repeat(weights((64, 4), np.int8), 16, axis=1)
    for options in (
        {"tile_size": 8},
        {"tile_size": (4, 32)},
        {"predictor_modes": []},
        {"predictor_modes": ["left", "planar"]},
        {"effort": "fast"},
        {"effort": "max"},
    ):
        coded, stats = wcodec.encode_layer_numpy(array, **options)
        assert same(wcodec.decode_layer_numpy(coded), array)
        unwanted = set(stats.tiles_by_predictor) - {"none", *options.get("predictor_modes", [])}
        if "predictor_modes" in options:
            assert not any(stats.tiles_by_predictor[name] for name in unwanted)


@pytest.mark.parametrize("name", ["silero-vad-fp32", "silero-vad-int8"])
def test_checkpoints_come_back(tmp_path, name):
    original = DEMO / f"{name}.safetensors"
    coded, back = tmp_path / "m.wcodec", tmp_path / "m.safetensors"
    stats = wcodec.encode_checkpoint(original, coded, threads=2)
    assert stats.coded_bytes == coded.stat().st_size < original.stat().st_size
    assert 0 < stats.ratio < 1 and 0 < stats.bits_per_weight < 32 and stats.seconds > 0
    decoded = wcodec.decode_checkpoint(coded, back, threads=1)
    assert back.read_bytes() == original.read_bytes()
    assert decoded.original_bytes == original.stat().st_size
    arrays = wcodec.decode_checkpoint(str(coded))
    assert list(arrays) == list(wcodec.open(coded))


def test_other_files_come_back(tmp_path):
    array = weights((30, 40))
    np.save(tmp_path / "a.npy", array)
    (tmp_path / "text").write_bytes(b"neither tensors nor arrays\n" * 99)
    for name in ("a.npy", "text"):
        wcodec.encode_checkpoint(tmp_path / name, tmp_path / "coded", overwrite=True)
        wcodec.decode_checkpoint(tmp_path / "coded", tmp_path / "back", overwrite=True)
        assert (tmp_path / "back").read_bytes() == (tmp_path / name).read_bytes()
    wcodec.encode_checkpoint(tmp_path / "a.npy", tmp_path / "coded", overwrite=True)
    assert same(wcodec.decode_checkpoint(tmp_path / "coded")["array"], array)


def test_existing_files_are_kept_unless_replacing_is_wanted(tmp_path):
    original, coded, back = DEMO / "silero-vad-int8.safetensors", tmp_path / "c", tmp_path / "b"
    wcodec.encode_checkpoint(original, coded)
    for path, write in (
        (tmp_path / "kept", lambda path, **more: wcodec.encode_checkpoint(original, path, **more)),
        (tmp_path / "link", lambda path, **more: wcodec.encode_checkpoint(original, path, **more)),
        (back, lambda path, **more: wcodec.decode_checkpoint(coded, path, **more)),
    ):
        if path.name == "link":
            path.symlink_to(tmp_path / "nowhere")
        else:
            path.write_bytes(b"precious")
        with pytest.raises(FileExistsError, match="overwrite=True") as caught:
            write(path)
        assert caught.value.filename == str(path)
        assert path.is_symlink() or path.read_bytes() == b"precious"
        write(path, overwrite=True)
        assert path.read_bytes() == (original if path == back else coded).read_bytes()


def test_saving_replaces_as_safetensors_does(tmp_path):
    for tensors in ({"a": weights((3, 4))}, {"b": weights((4, 3))}):
        wcodec.numpy.save_file(tensors, tmp_path / "m.wcodec")
        assert list(wcodec.open(tmp_path / "m.wcodec")) == list(tensors)


@pytest.mark.skipif(sys.platform == "win32", reason="needs permission bits")
def test_files_have_the_permissions_of_what_they_are_made_of(tmp_path):
    original, coded, back = (tmp_path / name for name in ("original", "coded", "back"))
    original.write_bytes((DEMO / "silero-vad-int8.safetensors").read_bytes())
    original.chmod(0o600)
    wcodec.encode_checkpoint(original, coded)
    wcodec.decode_checkpoint(coded, back)
    assert [path.stat().st_mode & 0o777 for path in (coded, back)] == [0o600, 0o600]


def test_broken_safetensors_are_kept_with_a_warning(tmp_path):
    (tmp_path / "bad").write_bytes((8).to_bytes(8, "little") + b'{"a":7} ')
    with pytest.warns(UserWarning, match="kept as opaque bytes"):
        wcodec.encode_checkpoint(tmp_path / "bad", tmp_path / "coded")
    wcodec.decode_checkpoint(tmp_path / "coded", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "bad").read_bytes()


def test_tensors_of_opaque_files_are_refused(tmp_path):
    """Nobody should take a file of unknown structure for a model without tensors."""
    (tmp_path / "text").write_bytes(b"neither tensors nor arrays\n" * 99)
    coded = tmp_path / "coded"
    wcodec.encode_checkpoint(tmp_path / "text", coded)
    for load in (
        lambda: wcodec.safe_open(coded, "np"),
        lambda: wcodec.decode_checkpoint(coded),
        lambda: wcodec.numpy.load_file(coded),
        lambda: wcodec.numpy.load(coded.read_bytes()),
    ):
        with pytest.raises(wcodec.UnsupportedError, match="no known structure, expected tensors"):
            load()
    assert len(wcodec.open(coded)) == 0, "the native reader tells what is there"


def test_the_output_does_not_depend_on_threads(tmp_path):
    coded = set()
    for threads in (1, 2, 5):
        wcodec.encode_checkpoint(
            DEMO / "silero-vad-int8.safetensors", tmp_path / "c", threads=threads, overwrite=True
        )
        coded.add((tmp_path / "c").read_bytes())
    assert len(coded) == 1


def test_the_reader_is_a_mapping(tmp_path, model):
    path = tmp_path / "m.wcodec"
    wcodec.numpy.save_file(model, path, {"by": "test"})
    with wcodec.open(path) as reader:
        assert set(reader) == set(model) and len(reader) == len(model)
        assert "steps" in reader and "nothing" not in reader
        assert all(same(reader[name], array) for name, array in model.items())
        assert [name for name, _ in reader.items()] == list(reader)
        assert all(same(array, model[name]) for name, array in reader.items())
        assert all(map(same, reader.values(), map(model.get, reader)))
        assert reader.raw("layer.weight").tobytes() == model["layer.weight"].tobytes()
        assert same(reader.part("embed.weight", np.s_[5:9, ::7]), model["embed.weight"][5:9, ::7])
        assert reader.metadata() == {"by": "test"} and reader.source == "safetensors"
        assert reader.coded_bytes == path.stat().st_size and len(reader.blake3) == 32
        layer = reader.layers["conv.weight"]
        assert (layer.dtype, layer.shape) == ("BF16", (32, 16, 3, 3))
        stats = reader.stats("embed.weight")
        assert stats.elements == 210_000 and stats.coded_bytes < stats.original_bytes == 420_000
        assert reader.verify().blocks == reader.blocks > 0
        assert "6 layers" in repr(reader)
    with pytest.raises(ValueError, match="closed"):
        reader["steps"]


def test_iteration_keeps_to_its_batches(tmp_path, model, monkeypatch):
    path = tmp_path / "m.wcodec"
    wcodec.numpy.save_file(model, path)
    monkeypatch.setattr("wcodec._reader._BATCH", 100_000)
    assert all(same(array, model[name]) for name, array in wcodec.open(path).items())


def test_pickling_and_copying(tmp_path, model):
    path = tmp_path / "m.wcodec"
    wcodec.numpy.save_file(model, path)
    reader = wcodec.open(path)
    for again in (pickle.loads(pickle.dumps(reader)), copy.copy(reader)):
        assert same(again["layer.weight"], model["layer.weight"])
    file = pickle.loads(pickle.dumps(wcodec.safe_open(path, "np")))
    assert same(file.get_tensor("steps"), model["steps"])
    for value in (reader.stats("layer.weight"), reader.layers["steps"]):
        assert pickle.loads(pickle.dumps(value)) == value == copy.deepcopy(value)
    error = wcodec.CorruptError("text", file="f", layer="l", block=3, byte=4)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.file, again.layer, again.block, again.byte) == (
        "text",
        "f",
        "l",
        3,
        4,
    )
    with pytest.raises(TypeError, match="in memory"):
        pickle.dumps(wcodec.Reader.from_bytes(path.read_bytes()))


def test_bytes_of_any_kind(model):
    coded = wcodec.numpy.save(model)
    for data in (coded, bytearray(coded), memoryview(coded), np.frombuffer(coded, np.uint8)):
        assert same(wcodec.Reader.from_bytes(data)["layer.weight"], model["layer.weight"])
