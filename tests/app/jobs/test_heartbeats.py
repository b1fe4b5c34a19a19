"""Workers are not taken for hung, nor hung ones for alive, when the clock is set."""

import os
import time
from dataclasses import replace

import pytest

from app.jobs.heartbeats import Heartbeats
from app.jobs.job import Job, JobRequest
from app.jobs.queue import Jobs
from lineas_core import PromptSet

PROMPTS = PromptSet(("a", "b"), ("x", "y"), name="Letters")
JOB = Job("20260101-000000-abcd", JobRequest("T", "tiny", PROMPTS), "running", created=1.0)
DAY = 86_400


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "alive").touch()
    return tmp_path


@pytest.mark.parametrize("jump", [-DAY, 0, DAY])
def test_silence_is_counted_whatever_the_clock_says(folder, jump, monkeypatch):
    beats, seconds = Heartbeats(), 0.0
    monkeypatch.setattr("time.monotonic", lambda: seconds)
    stamp = time.time() + jump  # the clock jumps between the worker's last beat and now
    os.utime(folder / "alive", (stamp, stamp))
    assert beats.silence(folder) == 0
    seconds = 500.0
    assert beats.silence(folder) == 500
    os.utime(folder / "alive", (stamp + 1, stamp + 1))
    assert beats.silence(folder) == 0


@pytest.mark.parametrize("jump", [-DAY, DAY])
def test_a_job_is_hung_after_the_same_time_whatever_the_clock_says(tmp_path, jump, monkeypatch):
    jobs, seconds = Jobs(tmp_path), 0.0
    (tmp_path / JOB.id).mkdir()
    jobs.write(replace(JOB))
    stamp = time.time() + jump
    for name in ("job.json", "alive"):
        (tmp_path / JOB.id / name).touch()
        os.utime(tmp_path / JOB.id / name, (stamp, stamp))
    with jobs.lock.hold():
        monkeypatch.setattr("time.monotonic", lambda: seconds)
        assert jobs.get(JOB.id).state == "running"
        seconds = jobs.patience * 4.0
        assert jobs.get(JOB.id).state == "running"  # the first iteration may take longer
        seconds = jobs.patience * 6.0
        assert jobs.get(JOB.id).state == "hung"


def test_jobs_run_in_the_order_in_which_they_came_though_the_clock_is_set_back(
    tmp_path, monkeypatch
):
    jobs, now = Jobs(tmp_path, python="/bin/false"), time.time()
    ids = []
    for back in (0, DAY, 2 * DAY):
        monkeypatch.setattr("time.time", lambda back=back: now - back)
        ids.append(jobs.submit(JOB.request))
    assert [job.id for job in jobs.waiting()] == ids
