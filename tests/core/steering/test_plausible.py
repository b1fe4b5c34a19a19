"""What our own methods learn must not count as damaged."""

import pytest
import torch

from lineas_core import AffineMap, SteeringMaps
from lineas_core.steering.plausible import describe_implausible


def _maps(scale, shift=0.0):
    scale = torch.as_tensor(scale)
    return SteeringMaps({"norm": AffineMap(scale, torch.full_like(scale, shift))}, {})


def test_a_map_that_silences_a_fifth_of_the_coordinates_is_plausible():
    scale = torch.ones(100)
    scale[:20] = 0.0  # as AURA does with those that tell the concept best
    assert describe_implausible(_maps(scale)) == ""


@pytest.mark.parametrize(("scale", "shift"), [(1e4, 1e4), (0.0, 0.0)])
def test_a_map_that_is_all_absurd_is_described_with_its_ranges(scale, shift):
    told = describe_implausible(_maps(torch.full((100,), scale), shift))
    assert "100% of its coordinates" in told
    assert f"shifts {shift:.3g}" in told
