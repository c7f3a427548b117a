"""Threads, processes, Ctrl-C and progress."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import wcodec
import wcodec.numpy
from conftest import same, weights


def test_threads_share_a_reader(model):
    reader = wcodec.Reader.from_bytes(wcodec.numpy.save(model))
    names = list(model) * 20

    def check(name):
        index = np.s_[..., : 1 + len(name)] if model[name].ndim else ...
        return same(reader[name], model[name]) and same(
            reader.part(name, index), model[name][index]
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(check, names))


def test_threads_load_one_file(tmp_path, model):
    path = tmp_path / "m.wcodec"
    wcodec.numpy.save_file(model, path)

    def check(_):
        loaded = wcodec.numpy.load_file(path)
        return all(same(loaded[name], model[name]) for name in model)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(check, range(40)))


def test_readers_see_old_or_new_while_a_file_is_replaced(tmp_path):
    path = tmp_path / "m.wcodec"
    versions = [{"w": np.full((64, 64), i, np.int32)} for i in range(30)]
    wcodec.numpy.save_file(versions[0], path)
    stop = threading.Event()

    def read():
        while not stop.is_set():
            array = wcodec.numpy.load_file(path)["w"]
            if array.min() != array.max():
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        for version in versions:
            wcodec.numpy.save_file(version, path)
        stop.set()
        assert all(reader.result() for reader in readers)


def test_the_interpreter_runs_while_a_file_is_decoded():
    """Another thread counts between the start and the end of a call that decodes."""
    array = weights((4096, 4096), np.int8)
    reader = wcodec.Reader.from_bytes(wcodec.encode_layer_numpy(array, effort="fast")[0])
    inside, count = threading.Event(), [0]

    def work():
        inside.set()
        reader["array"]
        inside.clear()

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()
    while inside.is_set():
        count[0] += 1
    thread.join()
    assert count[0] > 100


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_has_threads_of_its_own(model):
    coded = wcodec.numpy.save(model)
    wcodec.numpy.load(coded)
    child = os.fork()
    if child == 0:
        good = all(same(array, model[name]) for name, array in wcodec.numpy.load(coded).items())
        os._exit(0 if good else 1)
    deadline = time.monotonic() + 60
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        time.sleep(0.01)
    assert ended[1] == 0


def run_and_interrupt(code, folder):
    """Runs code that says 'begun', then sends SIGINT; gives what it printed and the seconds it took."""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "begun\n", process.communicate()
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return out, err, time.monotonic() - started


BEGIN = """
import numpy as np, wcodec, wcodec.numpy
begun = []
def begin(done, total):
    if not begun:
        begun.append(print("begun", flush=True))
try:
    %s
except KeyboardInterrupt:
    print("stopped")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_ctrl_c_stops_an_encoder(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "big.npy", rng.normal(0, 20, (16384, 8192)).astype(np.int8))
    work = 'wcodec.encode_checkpoint("big.npy", "big.wcodec", effort="max", progress=begin)'
    out, err, seconds = run_and_interrupt(BEGIN % work, tmp_path)
    assert (out, err) == ("stopped\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["big.npy"], "no partial output"
    # A second is what users are promised on a quiet machine; this one may be busy.
    assert seconds < 10


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_ctrl_c_stops_a_reader(tmp_path):
    np.save(tmp_path / "big.npy", weights((8192, 8192), np.float32))
    wcodec.encode_checkpoint(tmp_path / "big.npy", tmp_path / "big.wcodec", effort="fast")
    work = """
    reader = wcodec.open("big.wcodec")
    while True:
        reader.verify(progress=begin)"""
    for code in (work, work.replace("reader.verify(", 'wcodec.decode_checkpoint("big.wcodec", ')):
        out, err, _ = run_and_interrupt(BEGIN % code, tmp_path)
        assert (out, err) == ("stopped\n", "")
    assert len(list(tmp_path.iterdir())) == 2


def test_progress_is_told(tmp_path):
    np.save(tmp_path / "a.npy", weights((2048, 2048), np.int8))
    size = (tmp_path / "a.npy").stat().st_size
    told = []
    wcodec.encode_checkpoint(tmp_path / "a.npy", tmp_path / "c", progress=lambda *a: told.append(a))
    assert told[-1] == (size, size) and told == sorted(told)
    for call, total in (
        (
            lambda tell: wcodec.decode_checkpoint(tmp_path / "c", tmp_path / "b", progress=tell),
            size,
        ),
        (lambda tell: wcodec.decode_checkpoint(tmp_path / "c", progress=tell), 2048 * 2048),
        (lambda tell: wcodec.open(tmp_path / "c").verify(progress=tell), size),
    ):
        told.clear()
        call(lambda *a: told.append(a))
        assert told[-1] == (total, total)


def test_progress_may_raise(tmp_path):
    np.save(tmp_path / "a.npy", weights((4096, 4096), np.int8))

    def refuse(done, total):
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        wcodec.encode_checkpoint(tmp_path / "a.npy", tmp_path / "c", progress=refuse)


@pytest.mark.parametrize("hide", [False, True], ids=["tqdm", "plain"])
def test_progress_bars(tmp_path, capsys, monkeypatch, hide):
    if hide:
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    np.save(tmp_path / "a.npy", weights((1024, 1024), np.int8))
    wcodec.encode_checkpoint(tmp_path / "a.npy", tmp_path / "c", progress=True)
    assert "encode: 100" in capsys.readouterr().err


def test_memory_stays_flat(tmp_path):
    """Loads as often as asked for, and compares the memory of the process before and after."""
    loads = int(os.environ.get("WCODEC_PYTHON_LOADS", "3000"))
    code = """
import resource, sys, wcodec.numpy
data = open(sys.argv[1], "rb").read()
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for number in range(int(sys.argv[2])):
    wcodec.numpy.load(data)
    try:
        wcodec.numpy.load(data[:-1])
    except wcodec.WcodecError:
        pass
    if number == 500:
        before = peak()
print(peak() - before)
"""
    wcodec.numpy.save_file(
        {f"w{i}": weights((128, 64), np.int8, i) for i in range(4)}, tmp_path / "m"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "m"), str(loads)]
    grown = int(subprocess.run(run, check=True, capture_output=True, text=True).stdout)
    # KiB; 3,000 leaks of one array each would be 24,000.
    assert grown < 8000
