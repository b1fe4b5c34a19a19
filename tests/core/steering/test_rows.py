import pytest
import torch

from lineas_core import AffineMap, LowRankMap, SteeringMaps, compose, find_modules, steer
from lineas_core.steering.rows import stack_rows
from tests.fakes import tiny_language_model
from tests.tolerance import TEXT_NETWORK, tolerance


@pytest.fixture(scope="module")
def network():
    return tiny_language_model().network


def _affine(network, pattern, seed):
    draw = torch.Generator().manual_seed(seed)
    return SteeringMaps(
        {
            name: AffineMap(1 + 0.3 * torch.randn(32, generator=draw), torch.randn(32))
            for name in find_modules(network, pattern)
        }
    )


def _low_rank(network, pattern, seed, width=32, *, reads_input=False):
    draw = torch.Generator().manual_seed(seed)
    up, down = torch.randn(32, 2, generator=draw), 0.1 * torch.randn(2, width, generator=draw)
    step = LowRankMap(up, down, torch.randn(2, generator=draw), reads_input)
    return SteeringMaps(dict.fromkeys(find_modules(network, pattern), step))


def test_every_row_is_steered_by_its_own_maps(network):
    attention, norms = _affine(network, ".*o_proj", 1), _affine(network, ".*post.*layernorm", 2)
    reft = _low_rank(network, ".*down_proj", 3)
    lora = _low_rank(network, ".*down_proj", 4, width=64, reads_input=True)
    rows = [
        compose([attention], [0.5]),
        compose([], []),
        compose([attention, norms], [-1, 0.3]),
        compose([reft], [0.7]),
        compose([reft], [-0.5]),
        compose([norms, lora], [1, 1]),
    ]
    ids = torch.randint(3, 200, (len(rows), 7), generator=torch.Generator().manual_seed(0))
    stacked = stack_rows(rows)
    assert len(stacked) == 3
    with torch.no_grad():
        with steer(network, stacked[0]), steer(network, stacked[1]), steer(network, stacked[2]):
            together = network(ids).logits
        for row, maps in enumerate(rows):
            with steer(network, maps):
                alone = network(ids[row : row + 1]).logits[0]
            bounds = tolerance(terms=TEXT_NETWORK, scale=alone.abs().max())
            torch.testing.assert_close(together[row], alone, **bounds)


def test_a_row_without_maps_keeps_its_activations_bit_for_bit(network):
    maps = stack_rows([_affine(network, ".*o_proj", 1), SteeringMaps({})])
    (step, *_) = maps[0].values()
    z = torch.randn(2, 5, 32)
    assert torch.equal(step.apply(z, -1, z)[1], z[1])


def test_strengths_of_one_low_rank_map_share_its_directions(network):
    maps = _low_rank(network, ".*down_proj", 3)
    (stacked,) = stack_rows([maps.at(strength) for strength in (-1, 0.2, 1)])
    assert {step.up.shape[1] for step in stacked.values()} == {2}


def test_rows_without_maps_need_no_hook():
    assert stack_rows([SteeringMaps({}), SteeringMaps({})]) == []
