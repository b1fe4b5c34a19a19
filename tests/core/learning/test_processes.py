"""Two processes learn what one learns; torchrun starts them the same way."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import safetensors.torch
import torch

from lineas_core.storage.maps import load_maps
from tests.fakes import save_model, tiny_language_model
from tests.together import (
    CONFIGS,
    SOURCE,
    STOPPED,
    TARGET,
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


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("torchrun")
    save_model(tiny_language_model(), folder / "model")
    (folder / "set.json").write_text(json.dumps({"source": SOURCE, "target": TARGET}))
    return folder


def _torchrun(folder, *options):
    """Start `lineas learn` in two processes."""
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["-m", "lineas_core", "learn", str(folder / "set.json"), str(folder / "map")]
    options = [*("--model", str(folder / "model"), "--checkpoint", str(folder / "run")), *options]
    return subprocess.Popen(
        [sys.executable, *start, *command, *options],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_by_torchrun_the_command_goes_on_after_a_process_died(workplace):
    run = _torchrun(workplace, "--iterations", "100000")
    lines = []
    for line in run.stderr:
        lines.append(line)
        if "loss" in line and int(line.split()[0]) >= 3:
            break
    ranks = psutil.Process(run.pid).children(recursive=True)
    second = next(p for p in ranks if p.environ().get("RANK") == "1")
    os.kill(second.pid, signal.SIGKILL)
    out, err = run.communicate()
    assert run.returncode
    assert err.count("error: another process of this run has ended") == 1
    assert "    3  loss" in "".join(lines)
    assert sum(line.startswith("    3  loss") for line in lines) == 1  # one process reports
    assert out.split() == [str(workplace / "map")]
    assert load_maps(workplace / "map").metadata["iteration"] >= 3
    at = int(safetensors.torch.load_file(workplace / "run")["iteration"])
    assert at >= 3
    run = _torchrun(workplace, "--iterations", "100000")
    again = next(line for line in run.stderr if "loss" in line)
    run.terminate()
    run.communicate()
    assert int(again.split()[0]) == at
