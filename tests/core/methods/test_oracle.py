"""LoFIT-RL and LRTC-RL, which learn from a judge."""

import random
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from lineas_core import UserError, check_fits, load_maps, save_maps, steer
from lineas_core.methods import METHODS, oracle
from tests.fakes import hooks_of, tiny_image_model, tiny_language_model
from tests.tolerance import TEXT_NETWORK, tolerance

SOURCE = ["a b c", "b c d", "c d e f", "d e"]
TARGET = ["h g f", "g f e", "f e d c", "e d"]
ORACLES = ("lofit-rl", "lrtc-rl")
NEAR = tolerance(terms=TEXT_NETWORK)
pytestmark = pytest.mark.extra
INSTALLED = pytest.mark.skipif(
    not all(map(find_spec, ("peft", "trl"))),
    reason='pip install "lineas-studio[oracle]"',
)


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(oracle, "_TOKENS", 4)


@pytest.fixture(scope="module")
def model():
    return tiny_language_model()


def _judge(texts):
    """The share of characters that are not lower-case letters."""
    return [sum(not c.islower() for c in text) / max(len(text), 1) for text in texts]


def _learn(name, model, *, source=SOURCE, judge=_judge, modules=None, checkpoints=None, **changes):
    config = replace(METHODS[name].config, **{"epochs": 2, "ppo_epochs": 2, **changes})
    options = {"judge": judge, "modules": modules, "checkpoints": checkpoints}
    return METHODS[name].learn(model, source, TARGET, config=config, **options)


def _logits(model, prompts=("a b c",)):
    with torch.no_grad():
        return model.forward(model.encode(prompts))


def _random_states():
    numpy = np.random.get_state()[1].tolist()  # noqa: NPY002 - that of the libraries
    return random.getstate(), numpy, torch.get_rng_state()


def _same(maps, others):
    parts = ("shift", "up", "down")
    return all(
        torch.equal(getattr(m, part), getattr(others[name], part))
        for name, m in maps.items()
        for part in parts
        if hasattr(m, part)
    )


@INSTALLED
def test_the_biases_of_the_heads_are_a_shift_behind_their_projection(model):
    plain = _logits(model)
    maps = _learn("lofit-rl", model, learning_rate=0.05)
    assert [*maps] == [f"model.layers.{k}.self_attn.o_proj" for k in range(2)]
    assert all((m.scale == 1).all() and m.moved.all() for m in maps.values())
    assert torch.equal(_logits(model), plain)
    with steer(model.network, maps):
        steered = _logits(model)
    # The hooks of the test's own add at the input what the projection turns into the shift.
    handles = []
    for name, step in maps.items():
        projection = model.network.get_submodule(name)
        bias = torch.linalg.lstsq(projection.weight, step.shift.unsqueeze(1)).solution.T
        hook = lambda module, args, bias=bias: (args[0] + bias,)
        handles.append(projection.register_forward_pre_hook(hook))
    biased = _logits(model)
    for handle in handles:
        handle.remove()
    torch.testing.assert_close(biased, steered, rtol=1e-3, atol=1e-3)


@INSTALLED
def test_the_adapter_is_read_as_a_low_rank_map_of_every_projection(model):
    judged = []
    maps = _learn("lrtc-rl", model, judge=lambda t: judged.append(t) or _judge(t), rank=3)
    assert {name.rpartition(".")[2] for name in maps} == {"q_proj", "k_proj", "v_proj", "o_proj"}
    assert len(maps) == 8
    assert all(m.reads_input and m.up.shape[1] == 3 for m in maps.values())
    assert [len(texts) for texts in judged] == [2 * len(SOURCE)] * 2
    rewards = [1 - sum(_judge(texts)) / len(texts) for texts in judged]
    assert maps.metadata["rewards"] == pytest.approx(rewards, abs=1e-4)


@INSTALLED
@pytest.mark.parametrize("name", ORACLES)
def test_the_model_and_the_random_numbers_stay_as_they_were(name, tmp_path):
    model = tiny_language_model()
    plain, config = _logits(model), model.network.config.to_dict()
    before = _random_states()
    maps = _learn(name, model)
    after = _random_states()
    assert before[:2] == after[:2]
    assert torch.equal(before[2], after[2])
    assert torch.equal(_logits(model), plain)
    assert model.network.config.to_dict() == config
    assert not hooks_of(model.network)
    loaded = load_maps(save_maps(maps, tmp_path / "map"))
    check_fits(loaded, model)
    assert _same(loaded, maps)
    with steer(model.network, loaded, 0.0):
        assert torch.equal(_logits(model), plain)
    with steer(model.network, loaded, 1.0):
        assert not torch.equal(_logits(model), plain)


@INSTALLED
@pytest.mark.slow
@pytest.mark.parametrize("name", ORACLES)
def test_an_interrupted_run_resumes_with_the_same_result(name, model, tmp_path):
    whole = _learn(name, model, epochs=3)
    calls = []

    def interrupting(texts):
        calls.append(len(texts))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return _judge(texts)

    with pytest.raises(KeyboardInterrupt):
        _learn(name, model, judge=interrupting, epochs=3, checkpoints=tmp_path)
    counted = []
    resumed = _learn(
        name,
        model,
        judge=lambda texts: counted.append(len(texts)) or _judge(texts),
        epochs=3,
        checkpoints=tmp_path,
    )
    assert len(counted) == 1
    assert resumed.metadata["rewards"] == pytest.approx(whole.metadata["rewards"])
    assert _same(resumed, whole)


@INSTALLED
@pytest.mark.slow
@pytest.mark.parametrize(("name", "rate"), [("lofit-rl", 0.1), ("lrtc-rl", 0.01)])
def test_the_mean_reward_rises(name, rate, model):
    source = SOURCE * 16
    changes = {"epochs": 12, "ppo_epochs": 8, "learning_rate": rate}
    rewards = _learn(name, model, source=source, **changes).metadata["rewards"]
    assert len(rewards) == 12
    assert sum(rewards[6:]) / 6 > 1.2 * rewards[0]


@pytest.mark.parametrize("name", ORACLES)
def test_without_the_packages_one_sentence_says_what_to_install(name, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "trl", None)
    with pytest.raises(UserError, match=r'Run `pip install "lineas-studio\[oracle\]"`'):
        _learn(name, model)


@pytest.mark.parametrize("name", ORACLES)
def test_pictures_and_chats_are_refused(name):
    model = tiny_language_model()
    model.chat = True
    with pytest.raises(UserError, match="does not learn from the turns of a chat"):
        _learn(name, model)
    with pytest.raises(UserError, match="steers language models, tiny image is text-to-image"):
        _learn(name, tiny_image_model())


@INSTALLED
@pytest.mark.parametrize("name", ORACLES)
def test_modules_that_are_no_projections_are_refused(name, model):
    with pytest.raises(UserError, match="post_attention_layernorm is not a linear layer"):
        _learn(name, model, modules=["model.layers.0.post_attention_layernorm"])
