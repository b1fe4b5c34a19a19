import numpy as np
import pytest
import torch

from lineas_core import LearnConfig, UserError, learn
from lineas_core.learning.config import SelectConfig
from lineas_core.learning.samples import Samples
from lineas_core.learning.selection import effect_sizes, threshold
from lineas_core.methods import caa
from tests.fakes import tiny_image_model, tiny_language_model

SOURCE = ["a b c", "b c d", "c d e f", "d e", "e f g", "f g h a"]
TARGET = ["h g f", "g f e", "f e d c", "e d"]
FEW = SelectConfig(support=0.2)


@pytest.fixture(scope="module")
def model():
    return tiny_language_model()


@pytest.fixture(scope="module")
def samples(model):
    return Samples(model, SOURCE, TARGET, FEW, None)


def _moved(maps):
    """Which coordinates of all modules a map changes, (D,)."""
    return torch.cat([(step.scale != 1) | (step.shift != 0) for step in maps.affine.values()])


def _selected(samples, support=0.2):
    effects, _ = effect_sizes(samples)
    return effects.abs() > threshold(effects, support)


def test_an_effect_size_is_a_difference_of_means_in_standard_deviations(samples):
    x, y = (rows.double().numpy() for rows in (samples.source_rows, samples.target_rows))
    pooled = np.sqrt((x.var(axis=0, ddof=1) + y.var(axis=0, ddof=1)) / 2)
    floor = [0.1 * np.median(part) for part in np.split(pooled, len(samples.names))]
    pooled = np.maximum(pooled, np.repeat(floor, samples.widths))
    effects, spread = (each.numpy() for each in effect_sizes(samples))
    np.testing.assert_allclose(spread, pooled, rtol=1e-4)
    expected = (y.mean(axis=0) - x.mean(axis=0)) / pooled
    np.testing.assert_allclose(effects, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("support", "count"), [(1e-4, 1), (0.5, 3), (0.6, 3), (0.8, 4), (1, 5)])
def test_the_largest_effects_are_above_the_threshold(support, count):
    effects = torch.tensor([0.3, -0.1, -0.5, 0.2, 0.0])
    assert (effects.abs() > threshold(effects, support)).sum() == count


def test_caa_shrinks_the_differences_and_keeps_their_length(model, samples):
    effects, spread = effect_sizes(samples)
    maps = caa.learn(model, SOURCE, TARGET, config=FEW)
    shift = torch.cat([step.shift for step in maps.affine.values()]) / spread
    kept, limit = shift != 0, threshold(effects, FEW.support)
    assert torch.equal(kept, _selected(samples))
    ratio = shift[kept] / (effects - limit * effects.sign())[kept]
    torch.testing.assert_close(ratio, ratio[0].expand_as(ratio), rtol=1e-3, atol=0)
    torch.testing.assert_close(shift.norm(), effects.norm())
    assert all((step.scale == 1).all() for step in maps.affine.values())


@pytest.mark.parametrize("method", [caa.learn, learn])
def test_sides_that_do_not_differ_give_the_identity(model, method):
    config = FEW if method is caa.learn else LearnConfig(iterations=2, support=0.2)
    assert not _moved(method(model, SOURCE, SOURCE, config=config)).any()


@pytest.mark.parametrize(
    "settings", [{}, {"both_ways": True}, {"standardise": False}, {"sparsity": 0.1}]
)
def test_lineas_moves_nothing_else_and_lowers_the_loss(model, samples, settings):
    config = LearnConfig(iterations=12, support=0.2, **settings)
    maps = learn(model, SOURCE, TARGET, config=config)
    selected = _selected(samples)
    assert not _moved(maps)[~selected].any()
    assert _moved(maps)[selected].any()
    assert maps.metadata["loss"] < maps.metadata["loss_start"]


def test_a_picture_model_whose_output_is_compared_selects_too():
    model = tiny_image_model()
    config = LearnConfig(iterations=4, compare="output", support=0.1, batch_size=2)
    maps = learn(model, SOURCE[:4], TARGET, config=config)
    moved = _moved(maps)
    assert 0 < moved.sum() <= -(-len(moved) // 10)


@pytest.mark.parametrize("support", [0, -0.1, 1.1, float("nan"), True, "half"])
def test_a_share_out_of_range_is_refused(support):
    with pytest.raises(UserError, match="support is"):
        SelectConfig(support=support)
