from copy import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lineas_core import FitConfig, UserError, check_fits, fold, load_maps, save_maps, steer
from lineas_core.methods import METHODS
from lineas_core.methods.reft import ReftConfig
from tests.fakes import hooks_of, tiny_image_model, tiny_language_model
from tests.tolerance import TEXT_NETWORK, tolerance

SOURCE = ["a b c", "b c d", "c d e f", "d e"]
TARGET = ["h g f", "g f e", "f e d c"]
CONFIG = ReftConfig(epochs=4, learning_rate=0.05)
BLOCKS = ["model.layers.0", "model.layers.1"]
NEAR = tolerance(terms=TEXT_NETWORK)


@pytest.fixture(scope="module")
def model():
    return tiny_language_model()


@pytest.fixture(scope="module")
def maps(model):
    return _learn(model)


def _learn(model, config=CONFIG, **settings):
    settings = {"modules": BLOCKS, **settings}
    return METHODS["reft"].learn(model, SOURCE, TARGET, config=config, **settings)


def _logits(model, prompts=("a b c",)):
    with torch.no_grad():
        return model.forward(model.encode(prompts))


def _cost(model):
    """Cross-entropy of the target tokens after the source prompts, one pair after the other."""
    logits, words = [], []
    for k, first in enumerate(SOURCE):
        start = len(model.tokenizer(f"{first}\n")["input_ids"])
        text = f"{first}\n{TARGET[k % 3]}"
        logits.append(_logits(model, [text])[0, start - 1 : -1])
        words.append(model.encode([text]).arguments["input_ids"][0, start:])
    return cross_entropy(torch.cat(logits), torch.cat(words)).item()


def test_the_directions_stay_orthonormal_and_the_map_is_that_of_loreft(maps):
    assert list(maps) == BLOCKS
    for step in maps.values():
        rotation, bias = step.up.mT, step.bias  # R, (r, d)
        torch.testing.assert_close(rotation @ step.up, torch.eye(4), **NEAR)
        weight = step.down + rotation  # W
        h = torch.randn(2, 3, 32, generator=torch.Generator().manual_seed(0))
        expected = h + (h @ weight.T + bias - h @ rotation.T) @ rotation
        torch.testing.assert_close(step.apply(h, -1, h), expected, **NEAR)
        assert step.moved.all()


def test_target_prompts_become_more_likely_after_source_prompts(model, maps):
    before, facts = _cost(model), maps.metadata
    with steer(model.network, maps):
        after = _cost(model)
    assert facts["loss_start"] == pytest.approx(before, rel=1e-3)
    assert facts["loss"] == pytest.approx(after, rel=1e-3)
    assert after < 0.9 * before


def test_a_step_is_that_of_adamw_on_all_pairs(model):
    config = ReftConfig(epochs=1, learning_rate=1e-2)
    step = _learn(model, config, modules=BLOCKS[:1])[BLOCKS[0]]
    torch.testing.assert_close(step.bias.abs(), torch.full((4,), 1e-2), rtol=1e-3, atol=0)
    chunked = _learn(model, replace(config, micro_batch_size=1), modules=BLOCKS[:1])[BLOCKS[0]]
    torch.testing.assert_close(chunked.down, step.down, rtol=1e-3, atol=1e-4)


def test_the_seed_determines_the_maps(model, maps):
    again, other = _learn(model), _learn(model, replace(CONFIG, seed=1))
    assert torch.equal(again[BLOCKS[0]].down, maps[BLOCKS[0]].down)
    assert not torch.equal(other[BLOCKS[0]].up, maps[BLOCKS[0]].up)


def test_strength_zero_is_bit_equal_and_no_hook_stays(model, maps):
    plain = _logits(model)
    assert not hooks_of(model.network)
    with steer(model.network, maps, 0.0):
        assert torch.equal(_logits(model), plain)
    with steer(model.network, maps, 0.5):
        half = _logits(model)
    with fold(model.network, maps, 0.5):
        assert torch.equal(_logits(model), half)
    assert not torch.equal(half, plain)
    assert torch.equal(_logits(model), plain)


def test_maps_are_saved_with_the_facts_of_every_method(model, tmp_path):
    made = _learn(model, heldout=(SOURCE[:2], TARGET[:2]))
    loaded = load_maps(save_maps(made, tmp_path / "map"))
    check_fits(loaded, model)
    assert torch.equal(loaded[BLOCKS[1]].up, made[BLOCKS[1]].up)
    facts = loaded.metadata
    assert (facts["method"], facts["strength"], facts["config"]["rank"]) == ("reft", 1.0, 4)
    assert facts["heldout"] != facts["heldout_start"]


def test_the_network_stays_frozen_and_without_gradients(model, maps):
    assert all(not p.requires_grad and p.grad is None for p in model.network.parameters())
    assert not any(part.requires_grad for m in maps.values() for part in (m.up, m.down, m.bias))


def test_a_run_that_diverges_says_so(model):
    with pytest.raises(UserError, match="halved 5 times. Give a smaller learning rate"):
        _learn(model, ReftConfig(epochs=1, learning_rate=10))


def test_a_rate_that_is_too_high_is_halved_until_the_loss_falls(model):
    maps = _learn(model, ReftConfig(epochs=1, learning_rate=3))
    halvings = maps.metadata["halvings"]
    assert 1 <= halvings <= 5
    assert maps.metadata["loss"] < maps.metadata["loss_start"]
    slower = _learn(model, ReftConfig(epochs=1, learning_rate=3 / 2**halvings))
    assert slower.metadata["halvings"] == 0
    assert slower.metadata["loss"] == maps.metadata["loss"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rank": 33}, "rank is 33, but a module has only 32 coordinates"),
        ({"rank": 0}, "rank is 0"),
        ({"epochs": 0.5}, "epochs is 0.5"),
    ],
)
def test_settings_out_of_range_are_refused(model, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        _learn(model, ReftConfig(**changes))


def test_other_settings_pictures_and_long_sources_are_refused(model):
    with pytest.raises(UserError, match="Give a ReftConfig"):
        _learn(model, FitConfig())
    chats = copy(model)
    chats.chat = True
    with pytest.raises(UserError, match="ReFT does not learn from the turns of a chat"):
        _learn(chats)
    with pytest.raises(UserError, match="ReFT steers language models, tiny image is"):
        _learn(tiny_image_model(), modules=None)
    long = ["x" * 600] * 4
    with pytest.raises(UserError, match="Give shorter source prompts"):
        METHODS["reft"].learn(model, long, TARGET, config=CONFIG)


def test_a_module_that_is_broken_leaves_no_hook():
    model = tiny_language_model()
    model.network.lm_head = nn.Linear(7, 7)
    with pytest.raises(RuntimeError):
        _learn(model)
    assert not hooks_of(model.network)
