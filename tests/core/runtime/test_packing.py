"""What is saved for a gradient in bfloat16: half the bytes, and the gradient of float32."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from lineas_core.runtime.packing import saved_in_bfloat16

ROUNDING = 2**-8  # of bfloat16, relative


class Block(nn.Module):
    """Norm, gate and product, as in the feed-forward part of a language model."""

    def __init__(self):
        super().__init__()
        self.norm, self.up, self.gate = nn.RMSNorm(64), nn.Linear(64, 512), nn.Linear(64, 512)
        self.down = nn.Linear(512, 64)
        self.requires_grad_(False)

    def forward(self, x):
        x = self.norm(x)
        return self.down(functional.silu(self.gate(x)) * self.up(x))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(Block(), Block())


def _gradient(network, rows, packed):
    shift = torch.zeros(64, requires_grad=True)
    if packed:
        with saved_in_bfloat16(network):
            output = network(rows + shift)
    else:
        output = network(rows + shift)
    output.square().mean().backward()
    return output.detach(), shift.grad


def test_the_pass_is_that_of_float32_and_its_gradient_within_the_rounding(network):
    rows = torch.randn(1024, 64)
    whole, gradient = _gradient(network, rows, packed=False)
    output, other = _gradient(network, rows, packed=True)
    torch.testing.assert_close(output, whole, rtol=0, atol=0)
    assert (other - gradient).norm() < ROUNDING * gradient.norm()
    assert not torch.equal(other, gradient)


def test_half_of_the_bytes_are_kept(network):
    rows = torch.randn(1024, 64)
    kept = [_kept(network, rows, packed) for packed in (False, True)]
    assert kept[1] < 0.55 * kept[0]


def test_small_tensors_and_other_dtypes_are_kept_as_they_are(network):
    for rows in (torch.randn(8, 64), torch.randn(1024, 64, dtype=torch.float64)):
        network.to(rows.dtype)
        shift = torch.zeros(64, dtype=rows.dtype, requires_grad=True)
        expected = torch.autograd.grad(network(rows + shift).square().mean(), shift)
        with saved_in_bfloat16(network):
            loss = network(rows + shift).square().mean()
        torch.testing.assert_close(torch.autograd.grad(loss, shift), expected, rtol=0, atol=0)


def test_a_tensor_that_takes_the_place_of_another_one_is_not_taken_for_it():
    """A block's tensors are freed while it runs, and the next ones get their addresses."""
    shift, rows, products = torch.zeros(1, requires_grad=True), 1 << 16, []
    with saved_in_bfloat16(nn.Identity()):
        for factor in range(1, 20):
            products.append((torch.full((rows,), float(factor)) * shift).sum())
    (gradient,) = torch.autograd.grad(sum(products), shift)
    assert gradient.item() == sum(range(1, 20)) * rows


def _kept(network, rows, packed):
    """Bytes of all tensors that are kept between the two passes, as the allocator counts them."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    shift = torch.zeros(64, requires_grad=True)
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        if packed:
            with saved_in_bfloat16(network):
                output = network(rows + shift)
        else:
            output = network(rows + shift)
    assert output.requires_grad
    return sum(event.self_cpu_memory_usage for event in profile.events())
