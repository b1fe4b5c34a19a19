import pytest
import torch
from torch import nn

from lineas_core import UserError
from lineas_core.learning.pooling import POOLINGS, pool
from lineas_core.steering.hooks import coordinate_axis


def test_mean_leaves_out_padding_and_special_tokens():
    z = torch.tensor([[[100.0], [1.0], [3.0], [7.0]]])
    weight = torch.tensor([[0, 1, 1, 0]])
    assert pool(z, -1, weight=weight).tolist() == [[2.0]]


def test_max_sees_the_largest_that_counts():
    z = torch.tensor([[[9.0], [-5.0], [-3.0], [7.0]]])
    weight = torch.tensor([[0, 1, 1, 0]])
    assert pool(z, -1, weight=weight, how="max").tolist() == [[-3.0]]


def test_last_takes_the_last_token_that_counts():
    z = torch.arange(8.0).view(2, 4, 1)
    weight = torch.tensor([[0, 1, 1, 0], [0, 1, 1, 1]])
    assert pool(z, -1, weight=weight, how="last").tolist() == [[2.0], [7.0]]


def test_all_makes_every_counting_token_a_sample():
    z = torch.arange(8.0).view(2, 4, 1)
    weight = torch.tensor([[0, 1, 1, 0], [0, 1, 1, 1]])
    assert pool(z, -1, weight=weight, how="all").flatten().tolist() == [1, 2, 5, 6, 7]


def test_pictures_are_averaged_over_space_for_both_layouts():
    z = torch.randn(2, 5, 3, 4)
    channels_first = pool(z, coordinate_axis(nn.GroupNorm(1, 5)))
    channels_last = pool(z.flatten(2).mT, coordinate_axis(nn.LayerNorm(5)))
    torch.testing.assert_close(channels_first, z.mean(dim=(2, 3)))
    torch.testing.assert_close(channels_last, channels_first)


def test_pooling_first_equals_steering_first():
    z, scale, shift = torch.randn(3, 6, 4), torch.randn(4), torch.randn(4)
    weight = torch.tensor([[1, 1, 0, 0, 0, 0], [1] * 6, [0, 1, 1, 1, 0, 0]])
    steered = pool(scale * z + shift, -1, weight=weight)
    torch.testing.assert_close(steered, scale * pool(z, -1, weight=weight) + shift)


def test_unknown_pooling_names_the_known_ones():
    with pytest.raises(UserError, match="mean, max, last, all"):
        pool(torch.zeros(1, 2, 3), -1, how="median")


def test_an_output_without_positions_is_its_own_sample():
    rows = torch.randn(3, 5)
    assert all(torch.equal(pool(rows, -1, how=how), rows) for how in POOLINGS)


def test_mixed_precision_does_not_round_the_mean():
    rows = 5 + torch.randn(2, 50, 7, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        pooled = pool(rows, -1)
    torch.testing.assert_close(pooled, rows.mean(dim=1))


def test_positions_that_are_no_tokens_are_refused():
    heads = torch.randn(2, 3, 4, 8)  # prompts, heads, tokens, coordinates
    with pytest.raises(
        UserError, match=r"\(2, 3, 4, 8\) does not have one row for each of the 4 tokens"
    ):
        pool(heads, -1, weight=torch.ones(2, 4))
