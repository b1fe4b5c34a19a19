import pytest
import torch

from lineas_core import LearnConfig
from lineas_core.learning import samples
from lineas_core.learning.problem import Problem
from lineas_core.runtime.precision import native_bfloat16, seconds_of_products
from tests.fakes import tiny_language_model

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("full", "lower", "native"),
    [(2.0, 1.0, True), (1.0, 6.0, False), (1.0, 0.95, False)],  # native, emulated, hardly faster
)
def test_bfloat16_is_used_where_it_is_clearly_faster(full, lower, native):
    assert native_bfloat16(CPU, lambda device: (full, lower)) is native


def test_a_device_is_measured_once():
    asked = []

    def measure(device):
        asked.append(device)
        return 2.0, 1.0

    assert native_bfloat16(CPU, measure)
    assert native_bfloat16(torch.device("cpu"), measure)
    assert asked == [CPU]


def test_a_device_without_autocast_of_ours_computes_in_float32():
    assert not native_bfloat16(torch.device("meta"), lambda device: (2.0, 1.0))


def test_both_precisions_are_timed_and_no_random_number_is_drawn():
    state = torch.get_rng_state()
    full, lower = seconds_of_products(CPU)
    assert full > 0
    assert lower > 0
    assert torch.equal(torch.get_rng_state(), state)


def test_a_processor_slow_in_bfloat16_computes_in_float32_unless_told(monkeypatch):
    prompts = ["a b c", "b c d"]

    def costs(precision):
        config = LearnConfig(precision=precision)
        problem = Problem(tiny_language_model(), prompts, prompts[::-1], config, None)
        return problem.cost_and_gradient((problem.zeros() + 0.1).requires_grad_(), 0)[0]

    monkeypatch.setattr(samples, "native_bfloat16", lambda device: False)
    assert torch.equal(costs("auto"), costs("float32"))
    assert not torch.equal(costs("auto"), costs("bfloat16"))
