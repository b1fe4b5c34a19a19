"""Two processes learn what one learns; torchrun starts them the same way."""

import signal

import pytest
import safetensors.torch
import torch

from tests.together import (
    CONFIGS,
    STOPPED,
    iterates,
    learn_each,
    learn_in_two_parts,
    learn_until_one_is_killed,
    run_together,
)


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    assert run_together(learn_each, folder) == [0, 0]
    return folder


def _parameters(file):
    return safetensors.torch.load_file(file)["parameters"]


def _assert_equal(found, expected, tolerance=1e-6):
    assert (found - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize("name", CONFIGS)
def test_two_processes_learn_what_one_learns(learnt, name):
    *_, last = iterates(CONFIGS[name], pictures=name == "pictures")
    # Adam divides by the size of the gradient: it turns rounding of small ones into steps.
    tolerance = 1e-5 if name == "adam" else 1e-6
    _assert_equal(_parameters(learnt / name), last.state["parameters"], tolerance)
    assert 0 < last.support < 1 if name == "sparsity" else last.support > 0.9


def test_two_processes_resume_from_a_checkpoint(tmp_path, learnt):
    assert run_together(learn_in_two_parts, tmp_path) == [0, 0]
    assert torch.equal(_parameters(tmp_path / "resumed"), _parameters(learnt / "plain"))


def test_a_process_that_dies_ends_the_other_and_its_checkpoint_is_whole(tmp_path, learnt):
    assert run_together(learn_until_one_is_killed, tmp_path) == [0, -signal.SIGKILL]
    assert "another process of this run has ended" in (tmp_path / "error").read_text()
    state = safetensors.torch.load_file(tmp_path / "checkpoint")
    assert state["iteration"] == STOPPED
    *_, last = iterates(CONFIGS["plain"], resume=state)
    _assert_equal(last.state["parameters"], _parameters(learnt / "plain"))
