import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lineas_core import AffineMap, LowRankMap, SteeringMaps, UserError, compose, steer

numbers = st.floats(-5, 5, width=32)


def _map(seed=0, width=7):
    generator = torch.Generator().manual_seed(seed)
    scale = 1 + 0.5 * torch.rand(width, generator=generator)
    return AffineMap(scale, torch.randn(width, generator=generator))


def _apply(step, z):
    return step.scale * z + step.shift


def test_strength_one_is_the_map_itself():
    step = _map()
    assert step.at(1.0) is step


def test_strength_moves_linearly_between_identity_and_map():
    step, z = _map(), torch.randn(3, 7)
    halfway = _apply(step.at(0.5), z)
    torch.testing.assert_close(halfway, (z + _apply(step, z)) / 2)


def test_negative_strength_moves_linearly_towards_the_true_inverse():
    step, z = _map(), torch.randn(3, 7)
    inverse = (z - step.shift) / step.scale
    torch.testing.assert_close(_apply(step.at(-1.0), z), inverse)
    torch.testing.assert_close(_apply(step.at(-0.3), z), z + 0.3 * (inverse - z))


@given(scale=numbers, shift=numbers, z=numbers)
def test_inverse_after_map_is_the_identity_where_invertible(scale, shift, z):
    step = AffineMap(torch.tensor([scale]), torch.tensor([shift]))
    back = _apply(step.at(-1.0), _apply(step, torch.tensor([z])))
    if step.invertible.all():
        tolerance = 1e-5 * (1 + abs(z) + abs(shift)) / min(abs(scale), 1)
        assert abs(back.item() - z) <= tolerance


@pytest.mark.parametrize("scale", [0.0, 1e-12, -1e-12, 9e-4])
def test_a_coordinate_without_inverse_stays_untouched_for_negative_strength(scale):
    maps = SteeringMaps({"a": AffineMap(torch.tensor([scale, 2.0]), torch.ones(2))})
    backwards = maps.at(-0.7)["a"]
    assert backwards.scale[0] == 1
    assert backwards.shift[0] == 0
    assert backwards.scale.isfinite().all()
    assert maps.not_invertible == 1


def test_one_strength_per_row_equals_single_strengths():
    step = _map()
    strengths = [-1.0, -0.4, 0.0, 0.4, 1.0]
    together = step.at(torch.tensor(strengths))
    for row, strength in enumerate(strengths):
        torch.testing.assert_close(together.scale[row], step.at(strength).scale)
        torch.testing.assert_close(together.shift[row], step.at(strength).shift)


def test_row_of_strength_zero_is_the_identity_bit_for_bit():
    rows = _map().at(torch.tensor([0.0, 1.0]))
    assert torch.equal(rows.scale[0], torch.ones(7))
    assert torch.equal(rows.shift[0], torch.zeros(7))


@pytest.mark.parametrize("strength", [0.0, 0.7, 1.0, -0.4, [0.5, -1.0, 0.0]])
@pytest.mark.parametrize("rows", [False, True])
def test_maps_of_all_widths_are_moved_as_each_alone(strength, rows):
    maps = {"a": _map(1, 3), "b": _map(2, 5), "c": _map(3, 1)}
    if rows and isinstance(strength, float):
        maps["b"] = maps["b"].at(torch.tensor([0.2, 0.9]))
    moved = SteeringMaps(maps, {"some": "fact"}).at(strength)
    assert (list(moved), moved.metadata) == (["a", "b", "c"], {"some": "fact"})
    for name, step in maps.items():
        expected = step.at(torch.tensor(strength) if isinstance(strength, list) else strength)
        assert torch.equal(moved[name].scale, expected.scale)
        assert torch.equal(moved[name].shift, expected.shift)


def test_no_maps_at_any_strength_are_none():
    assert len(SteeringMaps({}).at(0.5)) == 0


def test_composition_applies_the_first_concept_first():
    first, second = SteeringMaps({"a": _map(1)}), SteeringMaps({"a": _map(2)})
    z = torch.randn(4, 7)
    both = compose([first, second], [0.6, -0.4])["a"]
    expected = _apply(second["a"].at(-0.4), _apply(first["a"].at(0.6), z))
    torch.testing.assert_close(_apply(both, z), expected)
    swapped = compose([second, first], [-0.4, 0.6])["a"]
    assert not torch.allclose(_apply(swapped, z), expected)


def test_composition_keeps_modules_that_only_one_concept_has():
    both = compose([SteeringMaps({"a": _map(1)}), SteeringMaps({"b": _map(2)})], [1.0, 1.0])
    assert list(both) == ["a", "b"]


def test_support_counts_coordinates_moved_by_scale_or_shift():
    step = AffineMap(torch.tensor([1.0, 2.0, 1.0, 1.0]), torch.tensor([0.0, 0.0, 0.1, 0.0]))
    assert SteeringMaps({"a": step}).support == 0.5


def test_reflected_coordinates_are_counted():
    maps = SteeringMaps({"a": AffineMap(torch.tensor([-1.0, 1.0]), torch.zeros(2))})
    assert maps.reflected == 1


@pytest.mark.parametrize(
    "strength",
    [
        *(float("nan"), float("inf"), "1", None, [0.1, float("nan")], [[1.0]], []),
        *(True, [True], (0.5, False), torch.tensor(True), torch.tensor([True]), np.True_),
        *(np.array([True, False]), [np.True_, 0.5], [torch.tensor(True)], torch.ones(0)),
    ],
)
def test_a_strength_that_is_no_number_is_refused(strength):
    with pytest.raises(UserError, match="strength is"):
        SteeringMaps({"a": _map()}).at(strength)


def test_composing_maps_of_different_widths_is_refused():
    maps = [SteeringMaps({"a": _map(width=3)}), SteeringMaps({"a": _map(width=4)})]
    with pytest.raises(UserError, match="disagree on a: 3 and 4"):
        compose(maps, [1.0, 1.0])


def test_strengths_for_different_numbers_of_rows_are_refused():
    maps = SteeringMaps({"a": AffineMap.identity(3)})
    with pytest.raises(UserError, match="for 2 and 3 rows"):
        compose([maps, maps], [[0.0, 1.0], [0.0, 0.5, 1.0]])


@pytest.mark.parametrize(
    "step",
    [
        AffineMap.identity(4),
        LowRankMap(torch.randn(4, 2), torch.randn(2, 4), torch.randn(2)),
    ],
)
def test_strengths_for_other_rows_than_those_of_maps_are_refused(step):
    maps = SteeringMaps({"0": step})
    rows, network = maps.at([1.0, 0.0, 0.5]), nn.Sequential(nn.LayerNorm(4))
    assert rows.at([0.0, 1.0, 1.0])["0"].rows == 3
    other = SteeringMaps({"1": AffineMap.identity(4)})
    for strengths in ([[1.0, 0.0], 1.0], [1.0, [1.0, 0.0]]):
        with pytest.raises(UserError, match="for 2 and 3 rows"):
            compose([rows, other], strengths)
    with pytest.raises(UserError, match="for 2 and 3 rows"), steer(network, rows, [1.0, 0.0]):
        pass


def test_maps_of_two_devices_are_composed_on_the_last_one():
    here = AffineMap.identity(3)
    there = here.to(torch.device("meta"))
    composed = compose([SteeringMaps({"a": here}), SteeringMaps({"a": there})], [1.0, 1.0])
    assert composed["a"].scale.device.type == "meta"
