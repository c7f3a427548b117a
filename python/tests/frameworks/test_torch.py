"""PyTorch, side by side with safetensors."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="no PyTorch here; scripts/test_frameworks.sh has it")

import safetensors.torch as safetensors
import wcodec
import wcodec.torch

KINDS = {name: code for code, name in wcodec.torch._NAMES.items() if hasattr(torch, name)}


def bits(tensor):
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)


def same(a, b):
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        return False
    return a.numel() == 0 or torch.equal(bits(a), bits(b))


def noise(name, shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    kind = getattr(torch, name)
    width = torch.empty((), dtype=kind).element_size()
    count = int(np.prod(shape)) * width
    raw = torch.randint(
        0, 2 if name == "bool" else 256, (count,), generator=generator, dtype=torch.uint8
    )
    return raw.view(kind).reshape(shape)


@pytest.fixture
def tensors():
    made = {name: noise(name, (33, 20), i) for i, name in enumerate(KINDS)}
    made.update(
        scalar=torch.tensor(2.5),
        none=torch.zeros(0, 3),
        cube=torch.randn(6, 7, 8),
        grad=torch.randn(9, requires_grad=True),
    )
    return made


def test_every_dtype_comes_back(tmp_path, tensors):
    wcodec.torch.save_file(tensors, tmp_path / "m.wcodec", {"format": "pt"})
    for loaded in (
        wcodec.torch.load_file(tmp_path / "m.wcodec"),
        wcodec.torch.load((tmp_path / "m.wcodec").read_bytes()),
        wcodec.torch.load(wcodec.torch.save(tensors)),
    ):
        assert loaded.keys() == tensors.keys()
        assert all(same(loaded[name], tensors[name]) for name in tensors)


def test_files_decode_to_what_safetensors_writes(tmp_path, tensors):
    known = {name: tensor for name, tensor in tensors.items() if tensor.dtype in safetensors._SIZE}
    safetensors.save_file(known, tmp_path / "theirs", {"format": "pt"})
    wcodec.torch.save_file(known, tmp_path / "ours.wcodec", {"format": "pt"})
    wcodec.decode_checkpoint(tmp_path / "ours.wcodec", tmp_path / "ours")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    expected = safetensors.load_file(tmp_path / "theirs")
    loaded = wcodec.torch.load_file(tmp_path / "ours.wcodec")
    assert all(same(loaded[name], expected[name]) for name in expected)
    theirs = safetensors.safe_open(tmp_path / "theirs", framework="pt")
    with wcodec.safe_open(tmp_path / "ours.wcodec", framework="pt") as ours:
        assert ours.keys() == sorted(theirs.keys()) and ours.metadata() == theirs.metadata()
        for name in ours.keys():
            a, b = ours.get_slice(name), theirs.get_slice(name)
            assert a.get_dtype() == b.get_dtype() and a.get_shape() == b.get_shape()
            assert same(ours.get_tensor(name), theirs.get_tensor(name))
            if (
                a.get_dtype() in wcodec._frameworks.WIDTHS
                and len(a.get_shape()) > 1
                and a.get_shape()[0]
            ):
                assert same(a[2:5], b[2:5]) and same(a[:, 3], b[:, 3]) and same(a[1], b[1])
                assert same(a[::-2], torch.flip(theirs.get_tensor(name), (0,))[::2])


def test_documentation_examples(tmp_path, monkeypatch):
    """Those of safetensors, with the import changed."""
    monkeypatch.chdir(tmp_path)
    from wcodec import safe_open
    from wcodec.torch import load_file, save_file

    tensors = {"embedding": torch.zeros((512, 1024)), "attention": torch.zeros((256, 256))}
    save_file(tensors, "model.safetensors")
    tensors = {}
    with safe_open("model.safetensors", framework="pt", device="cpu") as f:
        for k in f.keys():
            tensors[k] = f.get_tensor(k)
    assert set(tensors) == {"embedding", "attention"}
    with safe_open("model.safetensors", framework="pt", device="cpu") as f:
        tensor_slice = f.get_slice("embedding")
        vocab_size, hidden_dim = tensor_slice.get_shape()
        tensor = tensor_slice[:, :hidden_dim]
        tensor_part = f.get_slice("embedding")[:, ::8]
    assert tensor.shape == (512, 1024) and tensor_part.shape == (512, 128)
    assert load_file("model.safetensors")["attention"].shape == (256, 256)


def test_tensors_of_any_memory_layout(tmp_path):
    base = torch.randn(40, 60)
    views = {
        "transposed": base.t(),
        "strided": base[::2, 5::3],
        "expanded": base[:1].expand(9, 60),
        "parameter": torch.nn.Parameter(base),
        "channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "conjugate": torch.randn(4, 4, dtype=torch.complex64).conj(),
        "shared": base,
    }
    wcodec.torch.save_file(views, tmp_path / "m.wcodec")
    loaded = wcodec.torch.load_file(tmp_path / "m.wcodec")
    for name, view in views.items():
        assert torch.equal(loaded[name], view.detach()), name


def test_what_cannot_be_saved():
    for tensor, error in (
        (torch.eye(3).to_sparse(), ValueError),
        (torch.empty(3, device="meta"), ValueError),
        (torch.zeros(3, dtype=torch.complex128), ValueError),
        (np.zeros(3), TypeError),
    ):
        with pytest.raises(error, match="tensor 't'"):
            wcodec.torch.save({"t": tensor})


def test_tensors_own_just_their_memory(tensors):
    for name, tensor in wcodec.torch.load(wcodec.torch.save(tensors)).items():
        storage = (
            tensor.untyped_storage() if hasattr(tensor, "untyped_storage") else tensor.storage()
        )
        assert storage.nbytes() == tensor.numel() * tensor.element_size(), name
        assert tensor.is_contiguous() and tensor.storage_offset() == 0 and not tensor.requires_grad


@pytest.mark.skipif(hasattr(torch, "uint16"), reason="this PyTorch has uint16")
def test_dtypes_that_this_version_does_not_have():
    import wcodec.numpy

    coded = wcodec.numpy.save({"w": np.zeros((3, 4), np.uint16)})
    with pytest.raises(wcodec.UnsupportedError, match="dtype U16 is not one of PyTorch"):
        wcodec.torch.load(coded)


def test_other_devices(tmp_path):
    wcodec.torch.save_file({"w": torch.ones(3, 4)}, tmp_path / "m.wcodec")
    assert wcodec.torch.load_file(tmp_path / "m.wcodec", device="meta")["w"].device.type == "meta"
    with wcodec.safe_open(tmp_path / "m.wcodec", "pt", device="meta") as f:
        assert f.get_slice("w")[1].device.type == "meta"


@pytest.mark.skipif(not hasattr(torch, "set_default_device"), reason="needs PyTorch 2")
def test_the_device_that_tensors_are_made_on_by_default(tmp_path):
    """Whatever it is: what was decoded is what comes, on the device that was asked for."""
    weight = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    flipped = weight[[2, 0], 1:]
    coded = wcodec.torch.save({"w": weight, "none": torch.zeros(0, 3)})
    (tmp_path / "m.wcodec").write_bytes(coded)

    def check():
        assert same(wcodec.torch.load(coded)["w"], weight)
        assert same(wcodec.torch.load_file(tmp_path / "m.wcodec")["w"], weight)
        asked = wcodec.torch.load_file(tmp_path / "m.wcodec", device="meta")["w"]
        assert asked.device.type == "meta"
        with wcodec.safe_open(tmp_path / "m.wcodec", "pt") as f:
            assert same(f.get_tensor("w"), weight)
            assert same(f.get_slice("w")[::-2, 1:], flipped)
        assert wcodec.torch.save({"w": weight, "none": weight[:0, :3]}) == coded

    with torch.device("meta"):
        check()
    torch.set_default_device("meta")
    try:
        check()
    finally:
        torch.set_default_device(None)


def test_shapes_that_pytorch_does_not_have():
    if "F4" not in KINDS.values():
        pytest.skip("this PyTorch has no float4_e2m1fn_x2")
    for shape in ((), (2, 3)):
        with pytest.raises(wcodec.UnsupportedError, match="no F4 of shape"):
            wcodec.torch._empty("F4", shape)
    with pytest.raises(ValueError, match="tensor 't'"):
        wcodec.torch.save({"t": torch.empty((), dtype=torch.float4_e2m1fn_x2)})


class Rows(torch.utils.data.Dataset):
    def __init__(self, path):
        self.file = wcodec.safe_open(path, "pt")

    def __len__(self):
        return 64

    def __getitem__(self, row):
        return self.file.get_slice("w")[row]


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_of_a_data_loader(tmp_path, context):
    """A reader goes to other processes, forked or new."""
    weight = torch.randn(64, 300)
    wcodec.torch.save_file({"w": weight}, tmp_path / "m.wcodec")
    loader = torch.utils.data.DataLoader(
        Rows(tmp_path / "m.wcodec"), batch_size=16, num_workers=2, multiprocessing_context=context
    )
    assert torch.equal(torch.cat(list(loader)), weight)
