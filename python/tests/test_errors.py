"""Damaged files and wrong arguments: an exception that says what and where, and never a crash."""

import errno
import os
import random
import signal
import struct
from contextlib import suppress

import numpy as np
import pytest
import wcodec
import wcodec.numpy
import xxhash
from blake3 import blake3
from conftest import DEMO, MALFORMED, weights

EXPECTED = dict(
    line.split("\t", 1) for line in (MALFORMED / "expected.tsv").read_text().splitlines()
)


def test_the_folder_and_the_list_agree():
    assert sorted(EXPECTED) == sorted(path.stem for path in MALFORMED.glob("*.wcodec"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_malformed_files(tmp_path, name):
    path = MALFORMED / f"{name}.wcodec"
    with pytest.raises(wcodec.WcodecError) as caught:
        wcodec.open(path).verify()
    assert str(caught.value) == f"{path}: {EXPECTED[name]}"
    assert caught.value.file == str(path)
    with pytest.raises(wcodec.WcodecError):
        wcodec.decode_checkpoint(path, tmp_path / "out")
    assert not list(tmp_path.iterdir()), "nothing is left behind"
    # What reads a part of the file may miss the damage, but does nothing worse.
    for read in (
        wcodec.numpy.load_file,
        lambda path: wcodec.numpy.load(path.read_bytes()),
        lambda path: [wcodec.open(path).stats(layer) for layer in wcodec.open(path)],
        lambda path: [wcodec.open(path).part(layer, np.s_[..., :1]) for layer in wcodec.open(path)],
        lambda path: wcodec.open(path).metadata(),
        lambda path: wcodec.decode_layer_numpy(path.read_bytes()),
    ):
        with suppress(wcodec.WcodecError, ValueError, IndexError):
            read(path)


def test_kinds_of_errors():
    coded = wcodec.encode_layer_numpy(weights((64, 64)))[0]
    kinds = {
        wcodec.TruncatedError: coded[:-3],
        wcodec.CorruptError: coded + b"x",
        wcodec.UnsupportedError: (MALFORMED / "major_version.wcodec").read_bytes(),
        wcodec.LimitError: (MALFORMED / "original_too_large.wcodec").read_bytes(),
    }
    for kind, data in kinds.items():
        with pytest.raises(wcodec.WcodecError) as caught:
            wcodec.Reader.from_bytes(data)
        assert type(caught.value) is kind
    assert issubclass(wcodec.TruncatedError, wcodec.CorruptError)
    with pytest.raises(wcodec.LimitError, match="original size is 16384, the limit is 1000"):
        wcodec.Reader.from_bytes(coded, max_size=1000)


def test_every_flipped_bit_is_found():
    coded = wcodec.numpy.save({"w": weights((128, 96), np.int8), "b": weights((33,))}, {"k": "v"})
    rng = random.Random(3)
    for _ in range(int(os.environ.get("WCODEC_PYTHON_FLIPS", "2000"))):
        damaged = bytearray(coded)
        damaged[rng.randrange(len(coded))] ^= 1 << rng.randrange(8)
        with pytest.raises(wcodec.WcodecError):
            wcodec.Reader.from_bytes(bytes(damaged)).verify()
    for length in range(0, len(coded), 97):
        with pytest.raises(wcodec.CorruptError):
            wcodec.Reader.from_bytes(coded[:length])


def test_a_damaged_byte_has_its_place(tmp_path):
    path = tmp_path / "m.wcodec"
    wcodec.encode_checkpoint(DEMO / "silero-vad-fp32.safetensors", path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(wcodec.CorruptError) as caught:
        wcodec.numpy.load_file(path)
    error = caught.value
    assert error.layer and error.block is not None and error.byte <= len(data) // 2
    assert str(error).startswith(f'{path}: layer "{error.layer}", block {error.block}: ')


def test_unknown_names():
    reader = wcodec.Reader.from_bytes(wcodec.numpy.save({"w": np.zeros(3)}))
    for ask in (reader.__getitem__, reader.stats, reader.raw, lambda name: reader.part(name, 0)):
        with pytest.raises(KeyError) as caught:
            ask("v")
        assert isinstance(caught.value, wcodec.WcodecError)
        assert str(caught.value) == "the file in memory: there is no layer 'v'"


def test_errors_of_the_system(tmp_path):
    missing = tmp_path / "missing"
    for use in (
        wcodec.open,
        wcodec.numpy.load_file,
        wcodec.decode_checkpoint,
        lambda path: wcodec.safe_open(path, "np"),
        lambda path: wcodec.decode_checkpoint(path, tmp_path / "out"),
        lambda path: wcodec.encode_checkpoint(path, tmp_path / "out"),
    ):
        with pytest.raises(FileNotFoundError) as caught:
            use(missing)
        assert caught.value.filename == str(missing)
    for use in (wcodec.open, wcodec.numpy.load_file, wcodec.decode_checkpoint):
        with pytest.raises(IsADirectoryError):
            use(tmp_path)
    with pytest.raises(IsADirectoryError):
        wcodec.encode_checkpoint(tmp_path, tmp_path)
    with pytest.raises(FileNotFoundError):
        wcodec.numpy.save_file({"a": np.zeros(3)}, tmp_path / "no" / "folder")
    assert not list(tmp_path.iterdir())


def test_errors_of_writing_name_what_was_written(tmp_path):
    resource = pytest.importorskip("resource")
    model, coded, out = tmp_path / "model", tmp_path / "m.wcodec", tmp_path / "out"
    model.write_bytes(np.random.default_rng(1).bytes(1 << 17))
    wcodec.encode_checkpoint(model, coded)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limit[1]))
    try:
        for use in (
            lambda: wcodec.encode_checkpoint(model, out),
            lambda: wcodec.decode_checkpoint(coded, out),
        ):
            with pytest.raises(OSError) as caught:
                use()
            assert caught.value.errno == errno.EFBIG
            assert caught.value.filename == str(out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.wcodec", "model"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes by name")
def test_pipes_are_refused_and_not_waited_for(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for use in (wcodec.open, lambda path: wcodec.encode_checkpoint(path, tmp_path / "out")):
        with pytest.raises(ValueError, match="pipe: not a regular file"):
            use(pipe)


def test_sizes_are_limited_wherever_files_are_read(tmp_path):
    coded = tmp_path / "w.wcodec"
    wcodec.numpy.save_file({"w": weights((64, 64))}, coded)
    data = coded.read_bytes()
    for use in (
        lambda most: wcodec.open(coded, max_size=most),
        lambda most: wcodec.safe_open(coded, "np", max_size=most),
        lambda most: wcodec.decode_checkpoint(coded, max_size=most),
        lambda most: wcodec.decode_checkpoint(coded, tmp_path / "out", max_size=most),
        lambda most: wcodec.numpy.load_file(coded, max_size=most),
        lambda most: wcodec.numpy.load(data, max_size=most),
        lambda most: wcodec.diff(coded, coded, max_size=most),
    ):
        with pytest.raises(wcodec.LimitError, match="the limit is 1000"):
            use(1000)
        use(1 << 20)


def test_a_dtype_that_numpy_lacks_is_told_with_its_layer(tmp_path):
    header = b'{"odd":{"dtype":"F4","shape":[8],"data_offsets":[0,4]}}'
    (tmp_path / "m").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    coded = tmp_path / "m.wcodec"
    wcodec.encode_checkpoint(tmp_path / "m", coded)
    with pytest.raises(wcodec.UnsupportedError) as caught:
        wcodec.numpy.load_file(coded)
    assert str(caught.value).startswith(f'{coded}: layer "odd": dtype F4 is not one of NumPy')
    assert (caught.value.file, caught.value.layer) == (str(coded), "odd")


def test_a_reader_is_equal_to_itself_alone(tmp_path):
    coded = wcodec.encode_layer_numpy(weights((4, 4)))[0]
    first, second = wcodec.Reader.from_bytes(coded), wcodec.Reader.from_bytes(memoryview(coded))
    assert first == first and first != second
    assert len({first, second}) == 2


ARRAY = np.zeros((4, 4), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: wcodec.encode_layer_numpy(ARRAY, tile_size=0), ValueError, "tile_size is 0"),
        (lambda: wcodec.encode_layer_numpy(ARRAY, tile_size=1.5), TypeError, "tile_size"),
        (lambda: wcodec.encode_layer_numpy(ARRAY, tile_size=(1, 2, 3)), ValueError, "tile_size"),
        (lambda: wcodec.encode_layer_numpy(ARRAY, tile_size=70000), ValueError, "1 to 65535"),
        (
            lambda: wcodec.encode_layer_numpy(ARRAY, predictor_modes="left"),
            TypeError,
            "predictor_modes",
        ),
        (
            lambda: wcodec.encode_layer_numpy(ARRAY, predictor_modes=["up"]),
            ValueError,
            "none, left, top",
        ),
        (lambda: wcodec.encode_layer_numpy(ARRAY, effort="more"), ValueError, "effort is"),
        (lambda: wcodec.encode_layer_numpy(np.array(["x"])), ValueError, "dtype str32"),
        (lambda: wcodec.encode_layer_numpy(np.array([{}])), ValueError, "dtype object"),
        (lambda: wcodec.encode_layer_numpy(np.zeros(2, "i4,f4")), ValueError, "dtype void"),
        (
            lambda: wcodec.encode_layer_numpy(np.zeros(2, np.complex64)),
            ValueError,
            "C64 is not one",
        ),
        (lambda: wcodec.decode_layer_numpy(wcodec.numpy.save({})), ValueError, "0 layers"),
        (lambda: wcodec.decode_layer_numpy("text"), TypeError, "str"),
        (lambda: wcodec.encode_checkpoint("a", "b", threads=0), ValueError, "threads is 0"),
        (lambda: wcodec.encode_checkpoint("a", "b", threads="2"), TypeError, "threads is '2'"),
        (lambda: wcodec.decode_checkpoint("a", "b", threads=-1), ValueError, "threads is -1"),
        (
            lambda: wcodec.encode_checkpoint(DEMO / "README.md", "b", progress=3),
            TypeError,
            "progress",
        ),
        (lambda: wcodec.encode_checkpoint(b"a", "b"), TypeError, "input_path"),
        (lambda: wcodec.open(None), TypeError, "path"),
        (lambda: wcodec.open(7), TypeError, "int"),
        (lambda: wcodec.numpy.save({"a": [1]}), TypeError, "tensor 'a' is of type list"),
        (lambda: wcodec.numpy.save({1: ARRAY}), TypeError, "the name 1"),
        (lambda: wcodec.numpy.save({"__metadata__": ARRAY}), ValueError, "__metadata__"),
        (lambda: wcodec.numpy.save({"a": ARRAY}, {"k": 1}), TypeError, "metadata has 'k': 1"),
    ],
)
def test_wrong_arguments(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_buffers_that_do_not_fit():
    """The extension module itself takes no buffer on trust."""
    native = wcodec.Reader.from_bytes(wcodec.encode_layer_numpy(ARRAY)[0])._native
    frozen = np.zeros(64, np.uint8)
    frozen.flags.writeable = False
    for out in (
        np.zeros(63, np.uint8),
        np.zeros(128, np.uint8)[::2],
        np.zeros(64, np.int8),
        np.zeros((8, 8), np.uint8),
        frozen,
        bytearray(64),
    ):
        with pytest.raises((TypeError, ValueError)):
            native.decode_into([(0, out)], None)
        with pytest.raises((TypeError, ValueError)):
            native.decode_part_into(0, [(0, 4, 1), (0, 4, 1)], out)
    both = np.zeros(64, np.uint8)
    with pytest.raises((TypeError, ValueError)):
        native.decode_into([(0, both), (0, both)], None)
    with pytest.raises(ValueError, match="no layer 1"):
        native.decode_into([(1, both)], None)
    with pytest.raises(ValueError, match="not within"):
        native.decode_part_into(0, [(0, 9, 1), (0, 4, 1)], np.zeros(144, np.uint8))
    with pytest.raises(ValueError, match="not within"):
        native.decode_range(0, 1000)


def forged(dtype, *layers):
    """A sound file of a byte, of layers of any dtype, shape and number of bytes."""
    original = b"\0"
    head = b"\x89WCOD\r\n\x1a" + struct.pack("<HH52x", 1, 4)
    checksum = digest(original, digest(b"", 0))
    table = struct.pack("<QQIB3x", 64, checksum, 1, 1)
    directory = struct.pack("<BBBBHHIIIIQQQ", 0, 0, 0, 0, 16, 16, 1, 1, 1, 0, 1, 0, 0)
    at = 0
    for name, (shape, nbytes) in zip("abc", layers):
        sizes = (len(name), len(dtype), len(shape), 0, 0, at, nbytes)
        directory += struct.pack("<IBBHIxxxxQQ", *sizes) + name.encode() + dtype.encode()
        directory += struct.pack(f"<{len(shape)}Q", *shape)
        at += nbytes
    footer = struct.pack("<QQQQQ", 128, 1, len(directory), len(directory), 1)
    footer += blake3(original).digest()
    footer += struct.pack("<IIBB2xIIIIII", 1, len(layers), 1, 0, 0, 0, 0, 0, 0, 0).ljust(40, b"\0")
    return (
        head
        + original.ljust(64, b"\0")
        + table
        + directory
        + footer
        + struct.pack("<Q", digest(head + table + directory + footer, 0))
        + b"WCODEND\n"
    )


def digest(data, seed):
    return xxhash.xxh3_64_intdigest(data, seed=seed)


@pytest.mark.parametrize(
    ("shape", "nbytes"),
    [((1 << 31,), 0), ((1 << 31, 1 << 31), 0), ((), 0), ((5,), 1), ((0,), 1)],
)
@pytest.mark.parametrize("dtype", ["C64", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F4"])
def test_shapes_that_the_bytes_are_not_of(dtype, shape, nbytes, monkeypatch):
    """No memory is asked for, not even for the layers before."""
    coded = forged(dtype, ((0,), 0), (shape, nbytes))
    reader = wcodec.Reader.from_bytes(coded)
    assert reader.verify().original_bytes == 1
    assert reader.layers["b"].shape == shape
    asked = []
    monkeypatch.setattr("wcodec.numpy._empty", lambda *a: asked.append(a))
    for read in (
        lambda: wcodec.numpy.load(coded),
        lambda: reader["b"],
        lambda: reader.part("b", ...),
        lambda: list(reader.items()),
    ):
        with pytest.raises(wcodec.CorruptError, match="are not of shape") as caught:
            read()
        assert caught.value.layer == "b" and not asked
    assert reader.raw("b").nbytes == nbytes


def test_dtypes_that_the_codec_does_not_know():
    reader = wcodec.Reader.from_bytes(forged("F8_E8M0", ((1,), 1)))
    assert reader["a"].tobytes() == b"\0"
    with pytest.raises(wcodec.UnsupportedError, match="dtype F4 is not one of NumPy's"):
        wcodec.numpy.load(forged("F4", ((2,), 1)))
