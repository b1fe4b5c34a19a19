import pytest
import safetensors.torch
import torch

from app.jobs.checkpoints import restore_checkpoint, save_checkpoint
from tests.killed import killed_while

LATEST, BEFORE = "state.safetensors", "state-before.safetensors"


def _state(iteration):
    parameters = torch.full((3, 4), float(iteration))
    return {"iteration": torch.tensor(iteration), "parameters": parameters}


def _holds(state, iteration):
    return torch.equal(state["parameters"], _state(iteration)["parameters"])


@pytest.fixture
def saved(tmp_path):
    """A folder with the checkpoints of iterations 1 and 2."""
    for iteration in (1, 2):
        save_checkpoint(_state(iteration), tmp_path)
    return tmp_path


def test_the_latest_checkpoint_is_restored(saved):
    state, note = restore_checkpoint(saved)
    assert _holds(state, 2)
    assert note == ""


def test_there_is_nothing_to_restore_in_a_new_folder(tmp_path):
    assert restore_checkpoint(tmp_path) == (None, "")


def test_whatever_is_cut_or_flipped_the_state_is_a_whole_one(saved):
    whole, before = (saved / LATEST).read_bytes(), (saved / BEFORE).read_bytes()
    damaged = [whole[:cut] for cut in range(0, len(whole), 5)]
    damaged += [whole[:k] + bytes([whole[k] ^ 0x41]) + whole[k + 1 :] for k in range(len(whole))]
    fallen_back = 0
    for data in damaged:
        (saved / LATEST).write_bytes(data)
        (saved / BEFORE).write_bytes(before)
        state, note = restore_checkpoint(saved)
        assert _holds(state, 1 if note else 2)
        fallen_back += "continued from iteration 1" in note
    assert fallen_back > len(damaged) / 2


def test_a_damaged_checkpoint_does_not_replace_the_one_before_it(saved):
    (saved / LATEST).write_bytes(b"torn")
    restore_checkpoint(saved)
    save_checkpoint(_state(3), saved)
    (saved / LATEST).write_bytes(b"torn again")
    state, _ = restore_checkpoint(saved)
    assert _holds(state, 1)


def test_without_a_whole_checkpoint_the_run_starts_again_and_says_so(saved):
    for name in (LATEST, BEFORE):
        (saved / name).write_bytes(b"torn")
    state, note = restore_checkpoint(saved)
    assert state is None
    assert "started again" in note


def test_a_checkpoint_of_an_early_version_has_no_checksum(tmp_path):
    (tmp_path / LATEST).write_bytes(safetensors.torch.save(_state(5)))
    state, note = restore_checkpoint(tmp_path)
    assert _holds(state, 5)
    assert note == ""


def test_a_process_that_is_killed_while_saving_leaves_a_whole_checkpoint(saved):
    for _ in range(20):
        killed_while(lambda turn: save_checkpoint(_state(turn), saved), turns=2)
        state, note = restore_checkpoint(saved)
        assert note == ""
        assert _holds(state, int(state["iteration"]))
