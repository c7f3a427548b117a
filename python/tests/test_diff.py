"""What differs between checkpoints and folders."""

import numpy as np
import pytest
import wcodec
from conftest import weights
from safetensors.numpy import save_file


@pytest.fixture
def pair(tmp_path):
    """A folder with a checkpoint, and one with a fine-tune of it."""
    arrays = {"a": weights((300, 200)), "b": weights((100, 90), np.int8), "gone": weights((9, 9))}
    fine = {"a": arrays["a"].copy(), "b": arrays["b"], "new": weights((7, 7))}
    fine["a"][5, :50] *= np.float32(1.0001)
    for name, tensors in (("base", arrays), ("fine", fine)):
        folder = tmp_path / name / "sub"
        folder.mkdir(parents=True)
        save_file(tensors, folder / "model.safetensors")
        (tmp_path / name / f"{name}.json").write_text("{}")
    return tmp_path / "base", tmp_path / "fine"


def relations(layers):
    return {layer.name: layer.relation for layer in layers}


def test_files_are_compared_layer_by_layer(pair):
    base, fine = (folder / "sub" / "model.safetensors" for folder in pair)
    coded = fine.with_name("fine.wcodec")
    wcodec.encode_checkpoint(fine, coded, base=base)
    told = []
    # The base is among the two.
    for other in (fine, str(coded)):
        found = wcodec.diff(base, other, progress=lambda *done: told.append(done))
        assert isinstance(found, wcodec.Diff) and not found.identical
        assert [file.path for file in found.files] == [""]
        assert relations(found.layers) == {
            "a": "similar", "b": "identical", "new": "only_in_b", "gone": "only_in_a"
        }  # fmt: skip
        layer = next(layer for layer in found.layers if layer.name == "a")
        assert layer.a == layer.b == wcodec.Layer("a", "F32", (300, 200), 240_000)
        assert layer.compared == 60_000 and 0 < layer.changed <= 50
        assert layer.changed_share == layer.changed / 60_000
        assert 0 < layer.bits_per_weight < 1 and layer.prediction in ("difference", "xor")
        assert layer.expected_bytes < layer.alone_bytes
        assert found.expected_bytes == found.files[0].expected_bytes < fine.stat().st_size
    assert told and all(0 <= done <= total for done, total in told)
    same = wcodec.diff(fine, coded, base=base, threads=1)
    assert same.identical and all(layer.prediction is None for layer in same.layers)


def test_folders_are_compared_file_by_file(pair):
    base, fine = pair
    archive = fine.with_name("fine.wcodec")
    wcodec.encode_checkpoint(fine, archive)
    for other in (fine, archive):
        found = wcodec.diff(base, other)
        assert not found.identical
        files = [(file.path, file.in_a, file.in_b, file.identical) for file in found.files]
        assert files == [
            ("base.json", True, False, False),
            ("fine.json", False, True, False),
            ("sub/model.safetensors", True, True, False),
        ]
        assert relations(found.files[2].layers) == relations(found.layers)
        assert found.files[0].original_bytes == (2, 0)
        assert wcodec.diff(fine, other).identical
    with pytest.raises(ValueError, match="a single file"):
        wcodec.diff(base, fine / "fine.json")


def test_errors_name_the_file(pair):
    base, fine = (folder / "sub" / "model.safetensors" for folder in pair)
    with pytest.raises(FileNotFoundError):
        wcodec.diff(base, "nowhere")
    with pytest.raises(ValueError, match="threads is 0"):
        wcodec.diff(base, fine, threads=0)
    with pytest.raises(TypeError, match="expected a path of text"):
        wcodec.diff(base, b"fine")
    coded = fine.with_name("fine.wcodec")
    wcodec.encode_checkpoint(fine, coded)
    damaged = bytearray(coded.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    coded.write_bytes(damaged)
    with pytest.raises(wcodec.CorruptError) as raised:
        wcodec.diff(base, coded)
    assert raised.value.file == str(coded)
