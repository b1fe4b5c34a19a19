import pytest
import torch
from torch import nn

from lineas_core import (
    AffineMap,
    LowRankMap,
    SteeringMaps,
    UserError,
    check_fits,
    compose,
    fold,
    load_maps,
    save_maps,
    steer,
)
from lineas_core.storage.lycoris import export_norms
from tests.fakes import hooks_of, tiny_image_model, tiny_language_model
from tests.tolerance import tolerance

D, RANK = 32, 3
NEAR = tolerance(terms=D * RANK)
BLOCK, QUERY = "model.layers.0", "model.layers.1.self_attn.q_proj"


@pytest.fixture(scope="module")
def model():
    return tiny_language_model()


def _random(*shape, seed=0):
    return 0.2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _map(**settings):
    return LowRankMap(
        _random(D, RANK), _random(RANK, D, seed=1), _random(RANK, seed=2), **settings
    )


def _maps():
    return SteeringMaps({BLOCK: _map(), QUERY: _map(reads_input=True)}, {"model": "tiny"})


def _applied(step, z, read=None):
    return step.apply(z, -1, z if read is None else read)


def _logits(model, prompts=("a b c",)):
    with torch.no_grad():
        return model.forward(model.encode(prompts))


def test_the_map_adds_what_its_definition_says():
    step, z = _map(), _random(2, 5, D, seed=3)
    expected = z + (z @ step.down.T + step.bias) @ step.up.T
    torch.testing.assert_close(_applied(step, z), expected, **NEAR)
    torch.testing.assert_close(_applied(step, z[:, 0]), expected[:, 0], **NEAR)
    torch.testing.assert_close(step.apply(z.mT, 1, z.mT), expected.mT, **NEAR)


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0, 1.7])
def test_a_strength_goes_that_far_from_the_activation_to_the_mapped_one(strength):
    step, z = _map(), _random(2, 5, D, seed=3)
    expected = z + strength * (_applied(step, z) - z)
    torch.testing.assert_close(_applied(step.at(strength), z), expected, **NEAR)


def test_a_negative_strength_goes_towards_the_inverse():
    step, z = _map(), _random(2, 5, D, seed=3)
    back = _applied(step.at(-1.0), _applied(step, z))
    torch.testing.assert_close(back, z, **NEAR)
    expected = z + 0.4 * (_applied(step.at(-1.0), z) - z)
    torch.testing.assert_close(_applied(step.at(-0.4), z), expected, **NEAR)


def test_a_direction_that_the_map_takes_out_has_no_inverse_and_keeps_still():
    up = torch.eye(4)[:, :2]
    down = torch.tensor([[-1.0, 0, 0, 0], [0, 1, 0, 0]])  # z_0 becomes 0, z_1 doubles
    step, z = LowRankMap(up, down, torch.zeros(2)), _random(1, 4)
    assert sorted(step.invertible.tolist()) == [False, True]
    assert SteeringMaps({"a": step}).not_invertible == 1
    halved = z * torch.tensor([1, 0.5, 1, 1])
    torch.testing.assert_close(_applied(step.at(-1.0), z), halved)


def test_a_map_that_reads_the_input_is_subtracted_below_zero():
    step, z, read = _map(reads_input=True), _random(2, 5, D, seed=3), _random(2, 5, D, seed=4)
    change = _applied(step, z, read) - z
    torch.testing.assert_close(change, (read @ step.down.T + step.bias) @ step.up.T, **NEAR)
    torch.testing.assert_close(_applied(step.at(-0.5), z, read), z - 0.5 * change, **NEAR)
    assert step.invertible.all()


def test_a_strength_for_each_row_is_that_strength_alone(model):
    prompts, strengths = ["a b c"] * 4, [-1.0, 0.0, 0.5, 1.0]
    with steer(model.network, _maps(), strengths):
        together = _logits(model, prompts)
    assert torch.equal(together[1], _logits(model, prompts)[1])
    for row, strength in zip(together, strengths, strict=True):
        with steer(model.network, _maps(), strength):
            torch.testing.assert_close(row, _logits(model, prompts)[0], rtol=1e-3, atol=1e-3)


def test_at_zero_strength_nothing_is_registered_and_after_a_block_nothing_stays(model):
    plain = _logits(model)
    with steer(model.network, _maps(), 0.0):
        assert not hooks_of(model.network)
        assert torch.equal(_logits(model), plain)
    with steer(model.network, _maps()):
        assert len(hooks_of(model.network)) == 2
        assert not torch.equal(_logits(model), plain)
    assert not hooks_of(model.network)
    assert torch.equal(_logits(model), plain)


def test_what_cannot_be_folded_is_steered_all_the_same(model):
    with steer(model.network, _maps(), 0.7):
        steered = _logits(model)
    with fold(model.network, _maps(), 0.7):
        assert torch.equal(_logits(model), steered)


def test_maps_come_back_from_disk_as_they_were(model, tmp_path):
    affine = AffineMap(1 + _random(D), _random(D, seed=5))
    maps = SteeringMaps({**_maps(), "model.norm": affine}, {"model": "tiny"})
    loaded = load_maps(save_maps(maps, tmp_path / "map"))
    check_fits(loaded, model)
    assert list(loaded) == list(maps)
    assert loaded[QUERY].reads_input
    assert not loaded[BLOCK].reads_input
    for part in ("up", "down", "bias"):
        assert torch.equal(getattr(loaded[BLOCK], part), getattr(maps[BLOCK], part))
    assert torch.equal(loaded["model.norm"].shift, affine.shift)
    assert loaded.metadata["format_version"] == 2
    only_affine = SteeringMaps({"model.norm": affine}, loaded.metadata)
    assert load_maps(save_maps(only_affine, tmp_path / "map")).metadata["format_version"] == 1


def test_the_card_of_a_map_says_what_negative_strengths_do(tmp_path):
    for name, words in ((BLOCK, "apply its inverse"), (QUERY, "subtract what it adds")):
        maps = SteeringMaps({name: _maps()[name]}, {"model": "tiny"})
        card = (save_maps(maps, tmp_path / words) / "README.md").read_text(encoding="utf-8")
        assert f"negative strengths {words}." in card


def test_one_module_takes_one_low_rank_map(model):
    affine = SteeringMaps({BLOCK: AffineMap.identity(D)})
    for pair in ([_maps(), affine], [affine, _maps()], [_maps(), _maps()]):
        with pytest.raises(UserError, match="two maps steer"):
            compose(pair, [1.0, 1.0])
    with steer(model.network, _maps(), 0.5):
        expected = _logits(model)
    with steer(model.network, compose([_maps()], [0.5])):
        torch.testing.assert_close(_logits(model), expected, **NEAR)


@pytest.mark.parametrize("reads_input", [False, True])
def test_a_map_of_another_width_is_refused(model, reads_input):
    step = LowRankMap(_random(D, 2), _random(2, D + 1), _random(2), reads_input=True)
    narrow = LowRankMap(_random(D - 1, 2), _random(2, D - 1), _random(2))
    maps = SteeringMaps({QUERY: step if reads_input else narrow})
    with pytest.raises(UserError, match="Load the model"), steer(model.network, maps):
        _logits(model)


def test_an_input_given_by_keyword_is_not_guessed():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(D, D)

        def forward(self, x):
            return self.inner(input=x)

    network = Outer()
    maps = SteeringMaps({"inner": _map(reads_input=True)})
    with pytest.raises(UserError, match="hides its input"), steer(network, maps):
        network(torch.ones(1, D))


def test_values_that_no_learnt_map_has_are_counted():
    wild = LowRankMap(torch.ones(4, 2), 1e4 * torch.ones(2, 4), torch.zeros(2))
    assert SteeringMaps({"a": wild}).extreme == 1
    assert _maps().extreme == 0


def test_low_rank_maps_are_not_exported_as_norms(tmp_path):
    model = tiny_image_model()
    name = model.default_modules[0]
    width = len(model.network.get_submodule(name).weight)
    step = LowRankMap(_random(width, 1), _random(1, width), _random(1))
    with pytest.raises(UserError, match="are not norms"):
        export_norms(SteeringMaps({name: step}), model, tmp_path, "a")
