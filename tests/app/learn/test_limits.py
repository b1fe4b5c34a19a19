"""How many jobs a visitor may let wait, over HTTP to a real page."""

import shutil
from functools import cache

import pytest

from app.jobs.job import JobRequest
from app.jobs.queue import Jobs
from app.jobs.room import MOST_OF_A_VISITOR, MOST_WAITING
from app.studio.studio import Studio
from lineas_core import PromptSet
from tests.app.served import Program, served

REQUEST = JobRequest("Title", "tiny", PromptSet(("a", "b"), ("c", "d")))


@pytest.fixture
def jobs(tmp_path):
    """Jobs that wait for ever, because their workers fail at once."""
    return Jobs(tmp_path / "jobs", python=shutil.which("false"))


@pytest.fixture
def address(assets, tmp_path, jobs):
    studio = Studio(tmp_path / "data", assets=assets)
    studio.jobs = jobs
    with served(studio) as (_, address):
        yield address


def _learn(address, visitor):
    program = Program(address, visitor)
    return program.call("learn", "Title", ["a", "b"], ["c", "d"], _model(address))


@cache
def _model(address):
    maps = Program(address).call("list_maps")[1][0]
    return next(entry["model"] for entry in maps if entry["id"] == "words")


def test_nobody_fills_the_queue_alone(address, jobs):
    for _ in range(MOST_OF_A_VISITOR - 2):
        jobs.submit(REQUEST, "127.0.0.1")
    for _ in range(2):
        assert _learn(address, "127.0.0.1")[0] == "complete"
    kind, value = _learn(address, "127.0.0.1")
    assert (kind, value["error"]) == (
        "error",
        f"{MOST_OF_A_VISITOR} of your jobs are waiting already. Wait until some have finished, "
        "or stop them.",
    )
    assert _learn(address, "127.0.0.2")[0] == "complete"
    for _ in range(MOST_WAITING - MOST_OF_A_VISITOR - 1):
        jobs.submit(REQUEST)
    assert "50 jobs are waiting already" in _learn(address, "127.0.0.3")[1]["error"]


def test_a_job_that_is_stopped_makes_room(address, jobs):
    ids = [jobs.submit(REQUEST, "127.0.0.1") for _ in range(MOST_OF_A_VISITOR)]
    program = Program(address)
    assert program.call("stop_job", ids[0])[0] == "complete"
    assert _learn(address, "127.0.0.1")[0] == "complete"
    assert program.call("resume_job", ids[0])[1]["error"].startswith("20 of your jobs are")
