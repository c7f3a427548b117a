"""The package itself: versions, types, what it imports, the command, dtypes without ml_dtypes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import wcodec
import wcodec.numpy
from conftest import DEMO, ROOT, noise

PACKAGE = Path(wcodec.__file__).parent


def run(*args, **kwargs):
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, **kwargs)


def test_one_version():
    for manifest in (ROOT / "Cargo.toml", ROOT / "python" / "Cargo.toml"):
        assert re.search(r'^version = "(.*)"$', manifest.read_text(), re.M)[1] == wcodec.__version__
    assert isinstance(wcodec.FORMAT_VERSION, tuple)


def test_types_are_strict():
    config = str(ROOT / "python" / "pyproject.toml")
    sources = {**os.environ, "MYPYPATH": str(ROOT / "python" / "python")}
    result = run(
        "-m", "mypy", "--config-file", config, "--no-incremental", "-p", "wcodec", env=sources
    )
    assert result.returncode == 0, result.stdout


def test_the_stub_is_what_the_module_has():
    config = str(ROOT / "python" / "pyproject.toml")
    result = run("-m", "mypy.stubtest", "--mypy-config-file", config, "wcodec._wcodec")
    assert result.returncode == 0, result.stdout
    assert (PACKAGE / "py.typed").exists()


def test_users_are_checked_too(tmp_path):
    (tmp_path / "user.py").write_text(
        "import numpy, wcodec, wcodec.numpy\n"
        "stats: wcodec.DecodeStats = wcodec.decode_checkpoint('a', 'b')\n"
        "arrays: dict[str, numpy.typing.NDArray[numpy.float32]] = wcodec.decode_checkpoint('a')\n"
        "wcodec.numpy.save_file(arrays, 'c', metadata={'k': 'v'})\n"
        "with wcodec.safe_open('a', framework='np') as f:\n"
        "    shape: list[int] = f.get_slice('w').get_shape()\n"
    )
    result = run("-m", "mypy", "--strict", "--no-incremental", "user.py", cwd=tmp_path)
    assert result.returncode == 0, result.stdout
    (tmp_path / "user.py").write_text("import wcodec\nwcodec.encode_checkpoint('a')\n")
    result = run("-m", "mypy", "--strict", "--no-incremental", "user.py", cwd=tmp_path)
    assert 'Missing positional argument "output_path"' in result.stdout


def test_no_framework_is_imported():
    wanted = {"torch", "jax", "transformers", "safetensors", "ml_dtypes", "tqdm"}
    code = f"import sys, wcodec; print(*{wanted} & sys.modules.keys())"
    assert run("-c", code, check=True).stdout == "\n"


def test_everything_public_is_documented():
    public = [
        getattr(wcodec, name) for name in wcodec.__all__ if not name.startswith(("_", "FORMAT"))
    ]
    for thing in [*public, wcodec, wcodec.numpy]:
        assert thing.__doc__, thing
        for name, member in vars(thing).items():
            module = getattr(member, "__module__", "")
            if callable(member) and not name.startswith("_") and module.startswith("wcodec"):
                assert member.__doc__, f"{thing}.{name}"


@pytest.mark.parametrize(
    "command", [[str(Path(sys.executable).parent / "wcodec")], [sys.executable, "-m", "wcodec"]]
)
def test_the_command(tmp_path, command):
    def wcodec_command(*args):
        return subprocess.run([*command, *args], cwd=tmp_path, capture_output=True, text=True)

    original = DEMO / "silero-vad-int8.safetensors"
    made = wcodec_command("encode", str(original), "-o", "m.wcodec")
    assert made.returncode == 0 and "m.wcodec: 322652 -> " in made.stdout
    assert wcodec_command("verify", "m.wcodec").returncode == 0
    assert wcodec_command("decode", "m.wcodec", "-o", "back").returncode == 0
    assert (tmp_path / "back").read_bytes() == original.read_bytes()
    assert wcodec_command("encode", str(original), "-o", "m.wcodec").returncode == 2
    assert wcodec_command("verify", str(original)).returncode == 3
    assert wcodec_command("--version").stdout == f"wcodec {wcodec.__version__}\n"
    assert wcodec_command("--help").returncode == 0
    wrong = wcodec_command("nonsense")
    assert wrong.returncode == 2 and "unrecognized subcommand" in wrong.stderr


def test_without_ml_dtypes(monkeypatch):
    import ml_dtypes

    arrays = {"b": noise(ml_dtypes.bfloat16, (9, 9)), "f": noise(ml_dtypes.float8_e5m2, (9,))}
    coded = wcodec.numpy.save(arrays)
    code = (
        "import sys, warnings; sys.modules['ml_dtypes'] = None\n"
        "import wcodec.numpy\n"
        "with warnings.catch_warnings(record=True) as told:\n"
        "    warnings.simplefilter('always')\n"
        "    loaded = wcodec.numpy.load(sys.stdin.buffer.read())\n"
        "assert len(told) == 2 and 'install ml_dtypes' in str(told[0].message), told\n"
        "sys.stdout.buffer.write(loaded['b'].tobytes() + loaded['f'].tobytes())\n"
        "assert (loaded['b'].dtype, loaded['f'].dtype) == ('uint16', 'uint8')\n"
    )
    result = subprocess.run([sys.executable, "-c", code], input=coded, capture_output=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout == arrays["b"].tobytes() + arrays["f"].tobytes()


def test_decoding_goes_into_the_array_itself():
    reader = wcodec.Reader.from_bytes(wcodec.numpy.save({"w": np.ones((64, 64), np.float32)}))
    for array in (reader["w"], reader.part("w", np.s_[3:9])):
        assert array.flags.owndata and array.flags.c_contiguous and array.flags.writeable
