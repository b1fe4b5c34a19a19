import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F

from lineas_core.runtime import attention
from lineas_core.runtime.attention import ShortAttention


@pytest.fixture
def chosen(monkeypatch):
    """The kernels that were asked for."""
    kernels, real = [], attention.sdpa_kernel
    monkeypatch.setattr(attention, "sdpa_kernel", lambda k: (kernels.append(k), real(k))[1])
    return kernels


def _attend(positions, *, grad=True, masked=True):
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, positions, 8, requires_grad=grad) for _ in range(3))
    mask = torch.ones(positions, positions, dtype=torch.bool).tril() if masked else None
    out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return (out, *torch.autograd.grad(out.square().sum(), (query, key, value))) if grad else out


@pytest.mark.parametrize("masked", [True, False])
def test_short_attention_and_its_gradient_are_the_same(chosen, masked):
    fused = _attend(17, masked=masked)
    with ShortAttention():
        plain = _attend(17, masked=masked)
    assert len(chosen) == 1
    torch.testing.assert_close(plain, fused)


def test_long_attention_keeps_its_kernel(chosen):
    with ShortAttention():
        _attend(101)
    assert not chosen


def test_a_pass_without_gradient_is_the_same_to_the_last_bit():
    with ShortAttention():
        assert torch.equal(_attend(17, grad=False), _attend(17)[0])


def test_threads_leave_the_choice_of_kernels_as_it_was():
    query = torch.randn(1, 1, 4, 8)

    def attend(_):
        for _ in range(300):
            with ShortAttention():
                F.scaled_dot_product_attention(query, query, query)

    before, interval = torch.backends.cuda.flash_sdp_enabled(), sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(attend, range(3)))
    finally:
        sys.setswitchinterval(interval)
    assert torch.backends.cuda.flash_sdp_enabled() == before
