"""JAX: arrays go out and come back."""

import numpy as np
import pytest

jnp = pytest.importorskip("jax.numpy", reason="no JAX here; scripts/test_frameworks.sh has it")
import wcodec
import wcodec.jax


def test_arrays_come_back(tmp_path):
    arrays = {
        "w": jnp.arange(600, dtype=jnp.bfloat16).reshape(20, 30),
        "b": jnp.linspace(0, 1, 7),
        "i": jnp.array(3, jnp.int8),
    }
    wcodec.jax.save_file(arrays, tmp_path / "m.wcodec", {"by": "jax"})
    for loaded in (
        wcodec.jax.load_file(tmp_path / "m.wcodec"),
        wcodec.jax.load(wcodec.jax.save(arrays)),
    ):
        for name, array in arrays.items():
            assert isinstance(loaded[name], type(array)) and loaded[name].dtype == array.dtype
            assert np.array_equal(loaded[name], array)
    with wcodec.safe_open(tmp_path / "m.wcodec", framework="jax") as file:
        assert file.metadata() == {"by": "jax"}
        assert np.array_equal(file.get_tensor("w"), arrays["w"])
        assert np.array_equal(file.get_slice("w")[3:, ::-2], arrays["w"][3:, ::-2])
