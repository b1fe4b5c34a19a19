"""Bytes that work on the meta device would allocate, counted by hand beside."""

import pytest
import torch
import torch.nn.functional as F

from lineas_core.runtime.meta import kept_on_meta, peak_on_meta

_BYTES = 4 * 1000


@pytest.fixture
def z():
    return torch.zeros(1000, device="meta", requires_grad=True)


def test_the_peak_is_what_is_alive_at_once(z):
    def work():
        result = z + 1
        for _ in range(9):
            result = result * 2
        view = result.view(10, 100)  # no bytes of its own
        return view.add_(1)

    assert peak_on_meta(work) == 2 * _BYTES


def test_kept_is_what_the_backward_pass_needs_and_the_result(z):
    assert kept_on_meta(lambda: (z * 2).square()) == 2 * _BYTES
    assert kept_on_meta(lambda: (z * 2 + 1).sum()) == 4  # its gradient needs no value


def test_attention_keeps_no_matrix_of_weights():
    q = torch.zeros(1, 2, 500, 8, device="meta", requires_grad=True)
    attention = lambda: F.scaled_dot_product_attention(q, q, q)  # noqa: E731
    assert kept_on_meta(attention) == peak_on_meta(attention) == 4 * q.numel()
