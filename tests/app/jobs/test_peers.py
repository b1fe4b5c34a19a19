"""Several processes learn a job, as on a machine with several GPUs; here all use the CPU."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from app.jobs.job import JobRequest
from app.jobs.peers import arguments, estimate
from app.jobs.queue import Jobs
from app.jobs.worker import work
from lineas_core import BUDGETS, FitConfig, LearnConfig, PromptSet, find_modules, load_maps
from tests.app.jobs.test_jobs import wait_until as _wait_until
from tests.fakes import save_model, tiny_language_model

PROMPTS = PromptSet(
    source=("a grey cat", "the old dog", "one red hen", "my own cow"),
    target=("in the blue sky", "over the sea", "under a tree", "by the lake"),
    heldout_source=("a wild fox", "the fat pig", "the owl"),
    heldout_target=("at the shore", "on the hill", "in town"),
)
CONFIG = LearnConfig(iterations=6, precision="float32", optimizer="sgd", heldout_every=3)
_WORK = """
import sys
from app.jobs.peers import end_with_parent
from app.jobs.queue import Jobs
from app.jobs.worker import work
end_with_parent()
work(Jobs(sys.argv[1]), processes=2)
"""


def wait_until(condition):
    """Wait for two processes that import torch, which takes minutes where cores are busy."""
    _wait_until(condition, seconds=600)


@pytest.fixture(scope="module")
def request_(tmp_path_factory):
    model = save_model(tiny_language_model(), tmp_path_factory.mktemp("model"))
    return JobRequest("Places", model, PROMPTS, CONFIG)


@pytest.fixture
def jobs(tmp_path):
    """Jobs that start no worker by themselves."""
    return Jobs(tmp_path, python=shutil.which("false"))


@contextmanager
def _worker(jobs):
    """A worker whose jobs are learnt by two processes."""
    command = [sys.executable, "-c", _WORK, str(jobs.folder)]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE) as worker:
        try:
            yield psutil.Process(worker.pid)
        finally:
            worker.kill()


def _peers(worker):
    found = worker.children(recursive=True)
    return [process for process in found if "app.jobs.peers" in process.cmdline()]


def test_two_processes_learn_the_job_that_one_learns(jobs, request_):
    alone = jobs.submit(request_)
    work(jobs)
    shared = jobs.submit(request_)
    with _worker(jobs):
        wait_until(lambda: jobs.get(shared).state in ("done", "failed"))
    assert (jobs.get(shared).state, jobs.get(shared).message) == ("done", "")
    one, two = (load_maps(jobs.get(job).map_folder) for job in (alone, shared))
    for name in one:
        torch.testing.assert_close(two[name].scale, one[name].scale, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(two[name].shift, one[name].shift, rtol=1e-5, atol=1e-6)
    records = [[r["iteration"] for r in jobs.records(job)] for job in (alone, shared)]
    assert records[0] == records[1] == list(range(CONFIG.iterations + 1))
    assert jobs.records(shared)[-1]["heldout"] == pytest.approx(one.metadata["heldout"], rel=1e-4)


@pytest.mark.slow
def test_a_shared_job_is_stopped_and_goes_on_also_after_a_process_was_killed(jobs, request_):
    endless = replace(request_, config=replace(CONFIG, iterations=100_000))
    job = jobs.submit(endless)
    with _worker(jobs) as worker:
        wait_until(lambda: jobs.get(job).iteration >= 2)
        (peer,) = _peers(worker)
        jobs.stop(job)
        wait_until(lambda: jobs.get(job).state == "stopped")
        wait_until(lambda: not peer.is_running())
    stopped = jobs.get(job).iteration

    jobs.resume(job)
    with _worker(jobs) as worker:
        wait_until(lambda: jobs.get(job).iteration > stopped + 2)
        (peer,) = _peers(worker)
        os.kill(peer.pid, signal.SIGKILL)
        wait_until(lambda: jobs.get(job).state == "failed")
    assert jobs.get(job).message == (
        "one of the 2 processes learning this map, one for each GPU, has ended. Resume the "
        "job; the server log may say why."
    )
    killed = jobs.get(job).iteration
    assert load_maps(jobs.get(job).map_folder).metadata["iteration"] <= killed

    jobs.resume(job)
    with _worker(jobs) as worker:
        wait_until(lambda: jobs.get(job).iteration > killed + 2)
        (peer,) = _peers(worker)
        worker.kill()
        wait_until(lambda: not peer.is_running())
    assert jobs.get(job).state == "interrupted"
    iterations = [record["iteration"] for record in jobs.records(job)]
    assert iterations == list(range(len(iterations)))


@pytest.mark.parametrize(
    ("model", "kind", "preset", "config", "late"),
    [
        ("smollm2-135m", "topic", None, CONFIG, True),
        ("smollm2-135m", "topic", None, FitConfig(), True),
        ("smollm2-135m", "manner", None, CONFIG, False),
        ("gemma-3-270m", "topic", None, CONFIG, False),
        ("smollm2-135m", "topic", "attention-output", CONFIG, False),
        ("smollm2-135m", "topic", None, BUDGETS["paper (language)"], False),
    ],
)
def test_a_topic_is_learnt_at_the_layers_where_it_costs_least(model, kind, preset, config, late):
    """Unless others are chosen: the form says so, and its settings suit these layers."""
    tiny = tiny_language_model()
    request = JobRequest("t", model, replace(PROMPTS, kind=kind), config, preset)
    layers = arguments(request)[1]["modules"]
    modules = find_modules(tiny.network, layers) if layers else tiny.default_modules
    assert any("layers.0." in name for name in modules) == (not late)
    assert any("layers.1." in name for name in modules)
    first = estimate(tiny, request)
    assert [*first] == [*modules]
    assert first.metadata["method"] == ("caa" if late else "mean-act")
