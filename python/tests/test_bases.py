"""Files that are predicted from others."""

import pickle

import numpy as np
import pytest
import wcodec
import wcodec.numpy
from conftest import GOLDEN, same, weights
from safetensors.numpy import save_file


@pytest.fixture
def pair(tmp_path):
    """The paths of a fine-tune, its base and its `.wcodec` file, and the fine-tune's arrays."""
    base = {"a": weights((300, 200)), "b": weights((100, 90), np.int8)}
    fine = {name: array.copy() for name, array in base.items()}
    fine["a"][::7] *= np.float32(1.0001)
    fine["b"][:, 5] += 1
    save_file(base, tmp_path / "base.safetensors")
    save_file(fine, tmp_path / "fine.safetensors")
    coded = tmp_path / "coded" / "fine.wcodec"
    coded.parent.mkdir()
    paths = (tmp_path / "fine.safetensors", tmp_path / "base.safetensors", coded)
    stats = wcodec.encode_checkpoint(paths[0], coded, base=paths[1])
    assert stats.base_elements == 69000 and stats.ratio < 0.2
    return (*paths, fine)


def test_bases_are_given_wherever_files_are_read(pair):
    source, base, coded, fine = pair
    back = coded.with_name("back")
    for given in (base, str(base), [base], base.parent):
        wcodec.decode_checkpoint(coded, back, base=given, overwrite=True)
        assert back.read_bytes() == source.read_bytes()
    arrays = [
        wcodec.decode_checkpoint(coded, base=base),
        wcodec.numpy.load_file(coded, base=base),
        wcodec.numpy.load(coded.read_bytes(), base=base),
        dict(wcodec.open(coded, base=base)),
        dict(pickle.loads(pickle.dumps(wcodec.open(coded, base=base)))),
        dict(wcodec.Reader.from_bytes(coded.read_bytes(), base=base)),
    ]
    for found in arrays:
        assert all(same(found[name], array) for name, array in fine.items())
    with wcodec.safe_open(coded, "np", base=base) as file:
        again = pickle.loads(pickle.dumps(file))
        for opened in (file, again):
            assert same(opened.get_slice("a")[10:20, ::3], fine["a"][10:20, ::3])
    ((name, size, blake3),) = wcodec.open(coded).bases
    assert (name, size, len(blake3)) == ("base.safetensors", base.stat().st_size, 32)


def test_a_coded_base_in_the_search_path(pair, monkeypatch):
    _, base, coded, fine = pair
    wcodec.encode_checkpoint(base, coded.with_name("base.wcodec"))
    base.unlink()
    monkeypatch.setenv("WCODEC_BASE_PATH", str(coded.parent))
    with wcodec.open(coded) as reader:
        assert same(reader["b"], fine["b"])


def test_missing_and_wrong_bases_are_told(pair):
    source, base, coded, _ = pair
    back = coded.with_name("back")
    for given in (None, source, base.parent / "coded"):
        with pytest.raises(wcodec.MissingBaseError, match="base.safetensors"):
            wcodec.decode_checkpoint(coded, back, base=given)
    assert not back.exists()
    with pytest.raises(wcodec.MissingBaseError):
        wcodec.open(coded, base=source)
    with wcodec.open(coded) as reader, pytest.raises(wcodec.MissingBaseError):
        reader["a"]
    with pytest.raises(FileNotFoundError):
        wcodec.open(coded, base=base.parent / "nothing")
    with pytest.raises(TypeError):
        wcodec.open(coded, base=[b"bytes"])


def test_a_folder_is_no_base_to_encode_with(pair):
    source, base, coded, _ = pair
    for given in (base.parent, [base, str(base.parent)]):
        with pytest.raises(IsADirectoryError) as caught:
            wcodec.encode_checkpoint(source, coded.with_name("new"), base=given)
        assert caught.value.filename == str(base.parent)
    assert not coded.with_name("new").exists()


def test_golden_chain():
    with wcodec.open(
        GOLDEN / "v1.4" / "chain.wcodec", base=[GOLDEN / "v1.4", GOLDEN / "bases"]
    ) as reader:
        assert reader.verify().base_elements > 0
