"""A data folder as version 0.1.0 left it, with a job that is done, one that was stopped, a map of
the user's and a vote."""

import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from app.studio.studio import Studio
from lineas_core import UserError
from tests.fakes import save_model, tiny_language_model

FORMER = Path(__file__).with_name("version-0.1.0")
DONE, STOPPED = "20261128-170812-done0000", "20261128-170819-stopped0"
PATIENCE = 300  # seconds, for a worker on a busy machine


@pytest.fixture
def folder(tmp_path):
    """A copy, with the model of its jobs at a place that exists."""
    model = save_model(tiny_language_model(), tmp_path / "model")
    folder = shutil.copytree(FORMER, tmp_path / "data")
    for file in folder.rglob("*.json"):
        file.write_text(file.read_text().replace("/version/0.1.0", model))
    return folder


@pytest.fixture
def studio(folder):
    return Studio(folder)


def test_jobs_maps_and_votes_are_found(studio):
    assert {job.id: job.state for job in studio.jobs.list()} == {
        DONE: "done",
        STOPPED: "stopped",
    }
    yours = {entry.id: entry.title for entry in studio.maps() if entry.origin == "yours"}
    assert yours == {DONE: "Learnt before", STOPPED: "Stopped before", "mine": "Learnt before"}
    (preference,) = studio.votes.preferences()
    assert (preference.title, preference.picked["steered"]) == ("Robot", 1)


def test_its_records_and_previews_are_shown(studio):
    assert [record["iteration"] for record in studio.jobs.records(DONE)] == [0, 1, 2, 3]
    assert studio.jobs.previews(DONE)[-1]["text"]
    assert studio.jobs.get(DONE).request.prompts.name == "Letters"


def test_its_stopped_job_goes_on_from_its_checkpoint(studio):
    before = studio.jobs.get(STOPPED).iteration
    assert 0 < before < 400
    studio.jobs.resume(STOPPED)
    deadline = time.monotonic() + PATIENCE
    while studio.jobs.get(STOPPED).iteration <= before + 5:
        assert studio.jobs.get(STOPPED).state not in ("failed", "interrupted")
        assert time.monotonic() < deadline
        time.sleep(0.1)
    studio.jobs.stop(STOPPED)
    while studio.jobs.get(STOPPED).state != "stopped":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    iterations = [record["iteration"] for record in studio.jobs.records(STOPPED)]
    assert iterations == [*range(len(iterations))]


def test_its_map_steers_and_can_be_renamed(studio):
    entry = replace(studio.entry("mine"), model=studio.jobs.get(DONE).request.model)
    *_, rows = studio.texts.continue_text(entry, "hello", [0.0, 1.0])
    assert rows[0].text != rows[1].text
    studio.user_maps.rename("mine", "Renamed")
    assert studio.entry("mine").title == "Renamed"


def test_a_map_is_found_without_reading_the_others(studio, folder, caplog):
    other = folder / "maps" / "damaged"
    other.mkdir()
    (other / "lineas.safetensors").write_bytes(b"<html>")
    assert studio.entry("mine").title == studio.entry(DONE).title == "Learnt before"
    assert not caplog.records
    studio.maps()  # reads them all, and says which one it left out
    assert "damaged" in caplog.text


@pytest.mark.parametrize(
    "map_id",
    ["", ".", "..", "../maps/mine", "a/b", None, [], 5, "x" * 5000, "\0", "\ud800", STOPPED + "x"],
)
def test_an_id_that_names_no_map_is_one_sentence(studio, map_id):
    with pytest.raises(UserError, match="there is no such map"):
        studio.entry(map_id)
