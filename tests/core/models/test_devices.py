"""A model whose parts are in several places, moved by accelerate's hooks as on several GPUs.

Without GPUs, two layers of different kinds of places stand for them: one in memory, and one on the
disk, whose weights are on no device between two passes.
"""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from accelerate import dispatch_model

from lineas_core import (
    AffineMap,
    LearnConfig,
    SteeringMaps,
    UserError,
    fold,
    learn,
    load_model,
    steer,
)
from lineas_core.methods import METHODS
from lineas_core.models import Sampling
from lineas_core.models.base import fingerprint
from lineas_core.models.decoding import DecodingBatch
from lineas_core.models.outline import device_for
from tests.fakes import save_model, tiny_image_model, tiny_language_model

SOURCE = ["a b c", "b c d", "c d e f", "d e", "e f g"]
TARGET = ["h g f", "g f e", "f e d c", "e d"]
CONFIG = LearnConfig(iterations=4, precision="float32", optimizer="sgd")
PLACES = {
    "model.embed_tokens": "cpu",
    "model.rotary_emb": "cpu",
    "model.layers.0": "cpu",
    "model.layers.1": "disk",
    "model.norm": "disk",
    "lm_head": "disk",
}


@pytest.fixture(scope="module")
def spread(tmp_path_factory):
    model = tiny_language_model()
    folder = tmp_path_factory.mktemp("offloaded")
    dispatch_model(model.network, PLACES, main_device="cpu", offload_dir=folder, force_hooks=True)
    assert {p.device.type for p in model.network.parameters()} == {"cpu", "meta"}
    return model


@pytest.fixture(scope="module")
def whole():
    return tiny_language_model()


def _maps(model):
    width = model.network.config.hidden_size
    ramp = torch.linspace(0, 1, width)
    return SteeringMaps({n: AffineMap(1 + ramp, ramp - 0.5) for n in model.default_modules})


@pytest.mark.parametrize("pooling", ["mean", "max", "all"])
def test_a_spread_model_learns_what_a_whole_one_learns(spread, whole, pooling):
    config = replace(CONFIG, pooling=pooling)
    found, expected = (learn(m, SOURCE, TARGET, config=config) for m in (spread, whole))
    for name in expected:
        torch.testing.assert_close(found[name].scale, expected[name].scale)
        torch.testing.assert_close(found[name].shift, expected[name].shift)
    assert found.metadata["fingerprint"] == expected.metadata["fingerprint"]
    assert fingerprint(spread.network, ["lm_head"]) == fingerprint(whole.network, ["lm_head"])


@pytest.mark.parametrize("method", ["lin-act", "caa"])
def test_methods_without_iterations_fit_a_spread_model(spread, whole, method):
    found, expected = (METHODS[method].learn(m, SOURCE, TARGET) for m in (spread, whole))
    for name in expected:
        torch.testing.assert_close(found[name].shift, expected[name].shift)


@pytest.mark.parametrize("steered", [steer, fold])
def test_a_spread_model_generates_what_a_whole_one_generates(spread, whole, steered):
    texts = []
    for model in (spread, whole):
        with steered(model.network, _maps(model)):
            sampling = Sampling(max_new_tokens=8)
            texts.append(model.generate(["a b", "c d e"], seeds=[0, 1], sampling=sampling))
            likelihood = model.log_likelihood(["a b"], [" c d e"])
            texts.append(likelihood[:, 1].tolist())
    assert texts[:2] == texts[2:]


def test_rows_of_a_spread_model_join_and_leave(spread, whole):
    found = []
    for model in (spread, whole):
        batch = DecodingBatch(model.network, [0, 0])
        batch.read(torch.tensor([[5, 6, 7], [8, 9, 10]]))
        batch.keep([1])
        found.append(batch.read(torch.tensor([[11]])))
    torch.testing.assert_close(*found)


def test_auto_is_a_place_for_texts_and_not_for_pictures(tmp_path, whole):
    name = save_model(whole, tmp_path / "text")
    loaded = load_model(name, device="auto")
    ids = whole.encode(SOURCE)
    torch.testing.assert_close(loaded.forward(ids), whole.forward(ids))
    pipeline = save_model(tiny_image_model(), tmp_path / "pictures")
    with pytest.raises(UserError, match="paints pictures on one device. Leave out the device"):
        load_model(pipeline, device="auto")


@pytest.mark.parametrize("device", ["gpu", "cuda:99", ""])
def test_a_device_that_is_not_there_is_refused(tmp_path, whole, device):
    name = save_model(whole, tmp_path / "text")
    with pytest.raises(UserError, match="Give cpu, cuda, cuda with a number, or auto"):
        load_model(name, device=device)


@pytest.mark.parametrize(
    ("count", "gigabytes", "device"), [(0, 0, None), (1, 1, None), (2, 80, None), (4, 1, "auto")]
)
def test_only_a_model_too_large_for_one_of_several_gpus_is_spread(
    count, gigabytes, device, tmp_path, monkeypatch
):
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 512}
    sizes = {"intermediate_size": 2048, "num_hidden_layers": 8, "num_attention_heads": 8}
    wide = {"vocab_size": 524_288}  # 1.1 GB of weights in bfloat16
    (tmp_path / "config.json").write_text(json.dumps({**config, **sizes, **wide}))
    memory = SimpleNamespace(total_memory=gigabytes * 1e9)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: memory)
    assert device_for(str(tmp_path)) == device
    assert device_for("emoji-world") is None
