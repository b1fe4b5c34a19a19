"""A stop in the very moment of a save: the map is whole, and resuming ends with the same one."""

import shutil
from dataclasses import replace

import pytest

import app.jobs.checkpoints
import app.jobs.worker
from app.jobs.job import JobRequest
from app.jobs.queue import Jobs
from app.jobs.worker import work
from lineas_core import LearnConfig, PromptSet, load_maps
from lineas_core.storage import disk, maps
from tests.fakes import save_model, tiny_language_model

PROMPTS = PromptSet(("a grey cat", "the old dog"), ("in the sky", "over the sea"), name="Places")
CONFIG = LearnConfig(iterations=6, precision="float32")


@pytest.fixture(scope="module")
def request_(tmp_path_factory):
    model = save_model(tiny_language_model(), tmp_path_factory.mktemp("model"))
    return JobRequest("Places", model, PROMPTS, CONFIG)


@pytest.fixture(scope="module")
def undisturbed(request_, tmp_path_factory):
    jobs = Jobs(tmp_path_factory.mktemp("undisturbed"), python=shutil.which("false"))
    job_id = jobs.submit(request_)
    work(jobs)
    return load_maps(jobs.get(job_id).map_folder)


MOMENTS = {
    "before the map": (app.jobs.worker, "save_maps", "before"),
    "within the map": (maps, "write_together", "before"),
    "before the map appears": (maps, "write_together", "after"),
    "after the map": (app.jobs.worker, "save_maps", "after"),
    "before the checkpoint": (app.jobs.worker, "save_checkpoint", "before"),
    "within the checkpoint": (app.jobs.checkpoints, "write_atomically", "before"),
    "after the checkpoint": (app.jobs.worker, "save_checkpoint", "after"),
    "while the job is saved": (app.jobs.files, "write_atomically", "after"),
    "while a folder is synchronised": (disk.os, "fsync", "before"),
}


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_stop_in_the_moment_of_a_save_loses_nothing(
    tmp_path, monkeypatch, request_, undisturbed, moment, times
):
    jobs = Jobs(tmp_path, python=shutil.which("false"))
    job_id = jobs.submit(replace(request_))
    place, name, when = MOMENTS[moment]
    real, stopping = getattr(place, name), False

    def stopped(*args, **kwargs):
        nonlocal stopping
        again, stopping = stopping, True
        if when == "before" and not again:
            [jobs.stop(job_id) for _ in range(times)]
        answer = real(*args, **kwargs)
        if when == "after" and not again:
            [jobs.stop(job_id) for _ in range(times)]
        return answer

    monkeypatch.setattr("app.jobs.worker.leave", lambda status=0: None)
    monkeypatch.setattr(place, name, stopped)
    work(jobs)
    monkeypatch.setattr(place, name, real)
    job = jobs.get(job_id)
    assert job.state in ("stopped", "done")
    if job.map_folder:
        load_maps(job.map_folder)
    if job.state == "stopped":
        jobs.resume(job_id)
        work(jobs)
    assert jobs.get(job_id).state == "done"
    assert load_maps(jobs.get(job_id).map_folder).metadata == undisturbed.metadata
