import pytest
import torch

from lineas_core import LearnConfig
from lineas_core.learning.problem import Problem
from lineas_core.runtime.precision import native_bfloat16
from tests.fakes import tiny_language_model

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("capabilities", "native"),
    [
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"avx512_f": True, "avx512_bf16": True}, True),
        ({}, False),
    ],
)
def test_bfloat16_is_native_where_the_processor_says_so(monkeypatch, capabilities, native):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert native_bfloat16(CPU) is native


def test_a_processor_without_bfloat16_computes_in_float32_unless_told(monkeypatch):
    prompts = ["a b c", "b c d"]

    def costs(precision):
        config = LearnConfig(precision=precision)
        problem = Problem(tiny_language_model(), prompts, prompts[::-1], config, None)
        return problem.cost_and_gradient((problem.zeros() + 0.1).requires_grad_(), 0)[0]

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    assert torch.equal(costs("auto"), costs("float32"))
    assert not torch.equal(costs("auto"), costs("bfloat16"))
