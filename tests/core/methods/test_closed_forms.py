from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu
from sklearn.linear_model import LinearRegression, LogisticRegression
from torch import nn

from lineas_core import (
    FitConfig,
    LearnConfig,
    SteeringMaps,
    UserError,
    check_fits,
    compose,
    fold,
    learn,
    load_maps,
    save_maps,
    steer,
    wasserstein_1d,
)
from lineas_core.learning.pooling import pool
from lineas_core.methods import INSTRUCTION, METHODS, InstructedModel, aura, caa, iti_c, lin_act
from lineas_core.methods.iti_c import ItiConfig
from lineas_core.models.base import Inputs
from lineas_core.runtime.attention import ShortAttention
from lineas_core.steering.hooks import coordinate_axis
from tests.fakes import tiny_image_model, tiny_language_model
from tests.tolerance import rounding, tolerance

SOURCE = ["a b c", "b c d", "c d e f", "d e", "e f g", "f g h a", "g h", "h a b"]
TARGET = ["h g f", "g f e", "f e d c", "e d", "d c b", "c b a h", "b a", "a h g"]
CLOSED = ["lin-act", "mean-act", "iti-c", "caa", "caa-mid", "aura"]


@pytest.fixture(scope="module")
def model():
    return tiny_language_model()


@pytest.fixture(scope="module")
def image():
    return tiny_image_model()


@pytest.mark.parametrize("name", CLOSED)
def test_activations_that_are_not_finite_are_named(name):
    model = tiny_language_model()
    model.network.model.layers[1].post_attention_layernorm.weight.fill_(torch.nan)
    with pytest.raises(UserError, match=r"layers.1.post_attention_layernorm are not finite"):
        METHODS[name].learn(model, SOURCE, TARGET)


class _Rows:
    """A model whose prompts are rows of numbers and whose two modules put them out as they are."""

    kind = name = "rows"
    keeps_layout = False
    default_pooling = "mean"
    default_modules = ["0", "1"]

    def __init__(self, width):
        self.network = nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(2)))
        self.network.requires_grad_(False)
        for module in self.network:
            module.weight.copy_(torch.eye(width))

    def encode(self, prompts):
        return Inputs({"input": torch.stack([torch.as_tensor(p) for p in prompts])})

    def forward(self, inputs):
        return self.network(inputs.arguments["input"].unsqueeze(1))

    def generate(self, prompts, *, seeds):
        raise NotImplementedError


def _random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _fit(name, source, target, **settings):
    """Maps of a model of rows."""
    model = _Rows(source.shape[1])
    return METHODS[name].learn(model, list(source), list(target), **settings)


def _recorded(model, prompts, names, maps=None):
    """Pooled activations by hooks of the test's own, name -> (n, d)."""
    inputs, rows = model.encode(prompts), {}

    def keep(module, _, output, name):
        rows[name] = pool(output, coordinate_axis(module), weight=inputs.weight)

    handles = []
    # The recorder is registered first: what a map does to its own module is not seen.
    for name in names:
        module = model.network.get_submodule(name)
        hook = lambda m, a, o, name=name: keep(m, a, o, name)
        handles.append(module.register_forward_hook(hook))
    with torch.no_grad(), ShortAttention(), steer(model.network, SteeringMaps(maps or {})):
        model.forward(inputs)
    for handle in handles:
        handle.remove()
    return rows


def _one_pass_per_module(model, names, fit, count=8):
    """The plain way: for every module a pass of its own behind the maps so far."""
    target, maps = _recorded(model, TARGET[:count], names), {}
    for name in names:
        maps[name] = fit(_recorded(model, SOURCE[:count], names, maps)[name], target[name])
    return maps


def _equal(maps, others, tolerance=0.0):
    assert list(maps) == list(others)
    for name, step in maps.items():
        for got, wanted in (
            (step.scale, others[name].scale),
            (step.shift, others[name].shift),
        ):
            torch.testing.assert_close(got, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("kind", "count", "every"), [("model", 8, 1), ("image", 3, 9)])
def test_one_pass_fits_the_same_maps_as_one_pass_per_module(kind, count, every, request):
    model = request.getfixturevalue(kind)
    chosen = model.default_modules[::every]
    maps = lin_act.learn(
        model,
        SOURCE[:count],
        TARGET[:count],
        modules=chosen,
        config=FitConfig(pooling="mean"),
    )
    assert len(maps) == len(chosen)
    _equal(maps, _one_pass_per_module(model, list(maps), lin_act.least_squares, count))


def test_one_pass_of_the_source_is_all_that_a_sequential_method_takes(model, monkeypatch):
    passes, forward = [], model.forward
    monkeypatch.setattr(model, "forward", lambda inputs: passes.append(0) or forward(inputs))
    lin_act.learn(model, SOURCE, TARGET)
    assert len(passes) == 3  # one row for the names, targets, sources


def test_prompts_that_do_not_fit_into_memory_at_once_give_the_same_maps(model):
    whole = lin_act.learn(model, SOURCE, TARGET)
    _equal(lin_act.learn(model, SOURCE, TARGET, config=FitConfig(micro_batch_size=3)), whole, 1e-4)


def test_lin_act_agrees_with_a_regression_on_sorted_pairs():
    x, y = _random(20, 5), 3 * _random(20, 5, seed=1) - 1
    step = _fit("lin-act", x, y)["0"]
    for j in range(5):
        pairs = [np.sort(side[:, j].double().numpy()) for side in (x, y)]
        line = LinearRegression().fit(pairs[0][:, None], pairs[1])
        assert step.scale[j].item() == pytest.approx(line.coef_[0], rel=1e-4)
        assert step.shift[j].item() == pytest.approx(line.intercept_, rel=1e-4, abs=1e-5)


def test_unequal_sizes_are_matched_by_their_quantiles():
    x, y = _random(6, 3), _random(4, 3, seed=1)
    step = _fit("lin-act", x, y)["0"]
    # Twelve copies in all on either side have the same quantiles and are as many.
    even = lin_act.least_squares(x.repeat_interleave(2, dim=0), y.repeat_interleave(3, dim=0))
    torch.testing.assert_close(step.scale, even.scale)
    torch.testing.assert_close(step.shift, even.shift)


def test_lin_act_recovers_a_planted_affine_change_and_moves_nothing_twice():
    scale, shift = torch.tensor([0.5, 1.5, 2.0, 0.8]), torch.tensor([0.5, -0.5, 0.0, 1.0])
    x, near = _random(64, 4), tolerance(terms=4 * 64)
    maps = _fit("lin-act", x, (scale * x + shift)[torch.randperm(64)])
    torch.testing.assert_close(maps["0"].scale, scale, **near)
    torch.testing.assert_close(maps["0"].shift, shift, **near)
    # The second module sees what the first map has put right already.
    torch.testing.assert_close(maps["1"].scale, torch.ones(4), **near)
    torch.testing.assert_close(maps["1"].shift, torch.zeros(4), **near)


def test_mean_act_agrees_with_differences_of_means_behind_the_maps_before(model):
    def difference(x, y):
        shift = y.mean(dim=0) - x.mean(dim=0)
        return lin_act.AffineMap(torch.ones_like(shift), shift)

    maps = METHODS["mean-act"].learn(model, SOURCE, TARGET)
    _equal(maps, _one_pass_per_module(model, list(maps), difference))


def test_mean_act_is_sequential_and_caa_is_not():
    x, y = _random(8, 4), _random(8, 4, seed=1) + 1
    twice = {name: _fit(name, x, y)["1"].shift.norm().item() for name in ("mean-act", "caa")}
    assert twice["mean-act"] < rounding(terms=4 * 8 * 8)
    assert twice["caa"] > 1


def test_caa_agrees_with_the_mean_difference_of_pairs_in_the_untouched_network(model):
    maps = caa.learn(model, SOURCE, TARGET)
    x, y = (_recorded(model, side, list(maps)) for side in (SOURCE, TARGET))
    for name, step in maps.items():
        torch.testing.assert_close(step.shift, (y[name] - x[name]).mean(dim=0))
        assert (step.scale == 1).all()


def test_caa_at_the_middle_module_is_one_of_its_maps(image):
    everywhere = caa.learn(image, SOURCE[:2], TARGET[:2])
    (name,) = maps = METHODS["caa-mid"].learn(image, SOURCE[:2], TARGET[:2])
    assert name == list(everywhere)[len(everywhere) // 2]
    assert torch.equal(maps[name].shift, everywhere[name].shift)
    check_fits(maps, image)


def test_aura_agrees_with_the_statistic_of_mann_and_whitney_ties_included():
    x, y = (_random(n, 6, seed=n).mul(2).round() for n in (9, 7))
    step = _fit("aura", x, y)["0"]
    expected = mannwhitneyu(x.numpy(), y.numpy(), axis=0).statistic / (9 * 7)
    near = rounding(terms=2 * 9 * 7)
    np.testing.assert_allclose(aura.auroc(x, y).numpy(), expected, rtol=near)
    np.testing.assert_allclose(step.scale, np.minimum(1, 2 - 2 * expected), rtol=near)
    assert (step.shift == 0).all()


def test_aura_switches_a_perfect_expert_off_and_leaves_its_opposite():
    x = _random(5, 2)
    y = x + torch.tensor([-100.0, 100.0])
    assert _fit("aura", x, y)["0"].scale.tolist() == [0, 1]


@pytest.mark.parametrize("penalty", [0.01, 1.0, 100.0])
@pytest.mark.parametrize(("n", "m", "width", "size"), [(12, 12, 300, 1), (20, 9, 4, 5)])
def test_iti_c_agrees_with_a_logistic_regression_of_scikit_learn(n, m, width, size, penalty):
    x, y = size * _random(n, width), size * (_random(m, width, seed=1) + 0.3)
    step = _fit("iti-c", x, y, config=ItiConfig(penalty=penalty))["0"]
    rows = torch.cat([x, y]).double().numpy()
    regression = LogisticRegression(C=1 / penalty, solver="newton-cholesky", tol=1e-12)
    regression.fit(rows, [0] * n + [1] * m)
    direction = regression.coef_[0] / np.linalg.norm(regression.coef_[0])
    expected = np.std(rows @ direction) * direction
    np.testing.assert_allclose(step.shift, expected, atol=1e-4 * np.abs(expected).max())
    assert (step.scale == 1).all()


def test_iti_c_converges_where_a_full_step_of_newton_overshoots():
    x = torch.cat([_random(30, 2), torch.tensor([[1e3, 0.0]])])
    y = torch.cat([_random(30, 2, seed=1) + 2, torch.tensor([[-1e3, 0.0]])])
    rows = torch.cat([y, x]).double()
    sign = torch.cat([torch.ones(31), -torch.ones(31)]).double()
    rows -= rows.mean(dim=0)
    dual = iti_c.dual_coefficients((rows @ rows.T).unsqueeze(0), sign, 1e-3)[0]
    theta = dual @ rows
    regression = LogisticRegression(C=1e3, solver="newton-cholesky", tol=1e-12)
    regression.fit(rows.numpy(), sign.numpy())
    np.testing.assert_allclose(theta, regression.coef_[0], rtol=1e-3)


def test_iti_c_leaves_a_module_alone_where_both_sides_are_equal():
    x = 30 * _random(12, 40)
    step = _fit("iti-c", x, x.clone())["0"]
    assert not step.moved.any()


def test_iti_c_says_with_which_strength_to_start(model):
    maps = METHODS["iti-c"].learn(model, SOURCE, TARGET)
    assert maps.metadata["strength"] == METHODS["iti-c"].strength == 0.5


def test_iti_c_takes_modules_in_any_number_at_a_time(model, monkeypatch):
    together = iti_c.learn(model, SOURCE, TARGET)
    monkeypatch.setattr(iti_c, "PRODUCTS_AT_ONCE", 1)
    _equal(iti_c.learn(model, SOURCE, TARGET), together, 1e-5)
    monkeypatch.setattr(iti_c, "MAX_SAMPLES", 15)
    with pytest.raises(UserError, match="there are 16 samples"):
        iti_c.learn(model, SOURCE, TARGET)


@pytest.mark.parametrize("penalty", [0, -1, float("nan"), float("inf")])
def test_a_penalty_out_of_range_is_refused(penalty):
    with pytest.raises(UserError, match="penalty is"):
        ItiConfig(penalty=penalty)


@pytest.mark.parametrize("name", CLOSED)
def test_constant_coordinates_stay_finite(name):
    x, y = _random(8, 4), _random(6, 4, seed=1)
    x[:, 0] = 3.0  # constant in the source
    y[:, 1] = 3.0  # in the target
    x[:, 2] = y[:6, 2] = 0.1
    x[:, 2] += 1e-8 * torch.arange(8)  # but for rounding
    for source, target in ((x, y), (x[:, :1], y[:, :1]), (x * 0, y * 0)):
        for step in _fit(name, source, target).values():
            assert step.scale.isfinite().all()
            assert step.shift.isfinite().all()
            assert step.scale.abs().max() < 100


@pytest.mark.parametrize("name", CLOSED)
def test_unequal_sets_are_no_matter(model, name):
    maps = METHODS[name].learn(model, SOURCE, TARGET[:5])
    assert maps.metadata["source_size"] == 8
    assert maps.metadata["target_size"] == 5


@pytest.mark.parametrize("name", CLOSED)
def test_maps_are_saved_loaded_steered_and_folded_like_learnt_ones(image, name, tmp_path):
    made = METHODS[name].learn(image, SOURCE, TARGET)
    maps = load_maps(save_maps(made, tmp_path / "map"))
    check_fits(maps, image)
    _equal(maps, made)
    inputs = image.encode(["x y"])
    with torch.no_grad():
        untouched = image.forward(inputs)
        with steer(image.network, compose([maps], [0.5])):
            steered = image.forward(inputs)
        with fold(image.network, maps, 0.5):
            folded = image.forward(inputs)
    assert not torch.equal(steered, untouched)
    torch.testing.assert_close(folded, steered, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", CLOSED)
def test_maps_carry_the_same_facts_as_those_of_learn(model, name):
    heldout = (SOURCE[:3], TARGET[:3])
    maps = METHODS[name].learn(model, SOURCE, TARGET, heldout=heldout)
    config = LearnConfig(iterations=1)
    of_learn = learn(model, SOURCE, TARGET, config=config, heldout=heldout).metadata
    missing = set(of_learn) - set(maps.metadata)
    assert missing == {"iteration", "loss", "loss_start"}
    assert maps.metadata["method"] == name
    assert maps.metadata["heldout_start"] == pytest.approx(of_learn["heldout_start"], rel=0.05)


def test_transport_brings_the_sets_closer_where_it_was_fitted():
    x, y = _random(32, 8), 2 * _random(32, 8, seed=1) + 1
    before = wasserstein_1d(x, y).mean()
    for name in ("lin-act", "mean-act"):
        step = _fit(name, x, y)["0"]
        assert wasserstein_1d(step.scale * x + step.shift, y).mean() < before


@pytest.mark.parametrize("name", CLOSED)
def test_nothing_stays_hooked_after_an_exception(name, monkeypatch):
    model = tiny_language_model()
    last = model.network.get_submodule(model.default_modules[-1])

    passes, forward = [], last.forward

    def broken(hidden_states):
        passes.append(0)
        if len(passes) == 3:  # one row for the names, targets, sources
            raise RuntimeError("broken")
        return forward(hidden_states)

    monkeypatch.setattr(last, "forward", broken)
    with pytest.raises(RuntimeError, match="broken"):
        METHODS[name].learn(model, SOURCE, TARGET)
    assert not any(module._forward_hooks for module in model.network.modules())


@pytest.mark.parametrize("name", ["lineas", "reft", *CLOSED])
def test_every_method_has_a_sentence_and_takes_the_modules_it_is_given(model, name):
    method = METHODS[name]
    config = method.config
    if name == "lineas":
        config = replace(config, iterations=1)
    assert len(set(METHODS) - {"lineas", "reft", *CLOSED}) == 2  # see test_oracle.py
    chosen = model.default_modules[:1]
    maps = method.learn(model, SOURCE, TARGET, config=config, modules=chosen)
    assert list(maps) == chosen
    assert method.title.endswith(".")


def test_settings_of_another_kind_and_too_few_prompts_are_refused(model):
    with pytest.raises(UserError, match="Give a ItiConfig"):
        METHODS["iti-c"].learn(model, SOURCE, TARGET, config=FitConfig())
    with pytest.raises(UserError, match="Give at least 2"):
        METHODS["caa"].learn(model, SOURCE, TARGET[:1])


def test_prompting_puts_the_instruction_before_every_text():
    model, prompted = tiny_language_model(), []
    model.generate = lambda prompts, seeds: prompted.extend(prompts)
    InstructedModel(model).generate(["Once", "So"], seeds=[0, 1])
    assert prompted == [f"{INSTRUCTION} Once", f"{INSTRUCTION} So"]
