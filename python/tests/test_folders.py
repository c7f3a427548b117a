"""Folders as archives."""

import numpy as np
import pytest
import wcodec
from conftest import weights
from safetensors.numpy import save_file


def test_a_folder_becomes_an_archive_and_comes_back(tmp_path):
    folder = tmp_path / "model"
    (folder / "old").mkdir(parents=True)
    arrays = {"w": weights((300, 200)), "b": weights((100, 90), np.int8)}
    save_file(arrays, folder / "model.safetensors")
    save_file(arrays, folder / "old" / "model.safetensors")
    (folder / "config.json").write_text("{}")
    stats = wcodec.encode_checkpoint(folder, tmp_path / "model.wcodec")
    assert stats.copied_elements > 69000
    with wcodec.open(tmp_path / "model.wcodec") as reader:
        assert reader.source == "archive"
        assert reader.files == ["config.json", "model.safetensors", "old/model.safetensors"]
        assert reader.read_file("config.json") == b"{}"
        assert (
            reader.read_file("old/model.safetensors") == (folder / "model.safetensors").read_bytes()
        )
        assert (reader["old/model.safetensors:w"] == arrays["w"]).all()
        assert reader.stats("old/model.safetensors:w").coded_bytes == 0
        with pytest.raises(KeyError, match="model.wcodec: there is no file 'old'"):
            reader.read_file("old")
    wcodec.decode_checkpoint(tmp_path / "model.wcodec", tmp_path / "back")
    for path in ["config.json", "model.safetensors", "old/model.safetensors"]:
        assert (tmp_path / "back" / path).read_bytes() == (folder / path).read_bytes()
    with pytest.raises(FileExistsError):
        wcodec.decode_checkpoint(tmp_path / "model.wcodec", folder)
    with pytest.raises(ValueError, match="only an empty folder is replaced, if forced"):
        wcodec.decode_checkpoint(tmp_path / "model.wcodec", folder, overwrite=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileExistsError):
        wcodec.decode_checkpoint(tmp_path / "model.wcodec", tmp_path / "empty")
    wcodec.decode_checkpoint(tmp_path / "model.wcodec", tmp_path / "empty", overwrite=True)
    assert (tmp_path / "empty" / "config.json").read_text() == "{}"
