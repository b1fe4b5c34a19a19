"""Pipes and links in the folder of the user's data: nothing waits for them or follows them."""

import json
import os
import shutil
import threading
from collections.abc import Generator
from pathlib import Path

import gradio as gr
import pytest
import torch
from PIL import Image

from app.jobs.checkpoints import restore_checkpoint, save_checkpoint
from app.jobs.job import Job, JobRequest
from app.jobs.lock import Lock
from app.library.export_handlers import ExportHandlers
from app.library.handlers import LibraryHandlers
from app.studio.studio import Studio
from app.studio.votes import Vote
from lineas_core import AffineMap, PromptSet, SteeringMaps, UserError, save_maps

PROMPTS = PromptSet(("a", "b"), ("x", "y"), name="Letters")
STEPS = {"a": AffineMap(torch.tensor([0.5, 1.0]), torch.tensor([0.1, 0.0]))}
FACTS = {"model": "smollm2-135m", "kind": "language"}
JOB = "20260101-000000-abcd"
FILES = (
    *(f"maps/mine/{name}" for name in ("lineas.safetensors", "prompts.json", "README.md")),
    *("maps/mine/confirmed", "maps/mine/previews/00.png", "votes.jsonl", "worker.pid"),
    *(f"jobs/{JOB}/{name}" for name in ("job.json", "records.jsonl", "modules.json")),
    *(f"jobs/{JOB}/{name}" for name in ("preview-4.png", "state.safetensors")),
    *(f"jobs/{JOB}/map/{name}" for name in ("lineas.safetensors", "prompts.json")),
)


@pytest.fixture
def data(tmp_path):
    """A data folder with every kind of file."""
    data = tmp_path / "data"
    studio = Studio(data, assets=tmp_path)
    save_maps(SteeringMaps(STEPS, FACTS), data / "maps" / "mine", prompts=PROMPTS)
    (data / "maps" / "mine" / "confirmed").write_text("no")
    (data / "maps" / "mine" / "previews").mkdir()
    Image.new("RGB", (4, 4)).save(data / "maps" / "mine" / "previews" / "00.png")
    job = studio.jobs.folder / JOB
    job.mkdir()
    request = JobRequest("Learnt", "smollm2-135m", PROMPTS)
    studio.jobs.write(Job(JOB, request, "stopped", created=1.0))
    save_maps(SteeringMaps(STEPS, FACTS), job / "map", prompts=PROMPTS)
    Image.new("RGB", (4, 4)).save(job / "preview-4.png")
    record = {"iteration": 4, "elapsed": 1.0, "pictures": ["preview-4.png"], "strengths": [1.0]}
    (job / "records.jsonl").write_text(f"{json.dumps(record)}\n")
    (job / "modules.json").write_text('{"a": 1.0}')
    save_checkpoint({"iteration": torch.tensor(4)}, job)
    studio.votes.add(Vote("Robot", (("mine", 1.0),), "a", 1, "steered"))
    (data / "worker.pid").write_text("x")
    return data


def _ask(work, *arguments):
    """Call something that may refuse, in a sentence."""
    try:
        answer = work(*arguments)
        return list(answer) if isinstance(answer, Generator) else answer
    except UserError:
        return None
    except gr.Error as error:
        if "Internal error" in str(error):
            raise


def _use(data):
    """Look at everything, and change what can be changed."""
    studio = Studio(data, assets=data.parent)
    library = LibraryHandlers(studio)
    exports = ExportHandlers(studio, library)
    _ask(library.library, "", None)
    for map_id in ("mine", JOB):
        for work in (library.details, exports.pack, library.duplicate, library.confirm):
            _ask(work, map_id)
        _ask(studio.user_maps.rename, map_id, "Renamed")
    for job in studio.jobs.list():
        for read in (studio.jobs.records, studio.jobs.previews, studio.jobs.modules):
            read(job.id)
        restore_checkpoint(studio.jobs.folder / job.id)
    _ask(studio.votes.add, Vote("Robot", (("mine", 1.0),), "a", 1, "steered"))
    studio.votes.preferences()
    Lock(data).end_holder()
    for map_id in ("mine", JOB):
        _ask(studio.user_maps.delete, map_id)


def _finishes(work):
    """Do work in a thread; fail if it waits for ever, or raises."""
    failures = []

    def run():
        try:
            work()
        except Exception as error:  # noqa: BLE001 - shown below
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(120)
    assert not thread.is_alive(), "it waits for a pipe"
    assert failures == []


@pytest.mark.parametrize("place", FILES)
def test_a_pipe_in_place_of_a_file_is_damage_and_nothing_waits_for_it(data, place):
    (data / place).unlink()
    os.mkfifo(data / place)
    _finishes(lambda: _use(data))


def test_there_is_a_file_at_every_place(data):
    assert [place for place in FILES if not (data / place).is_file()] == []


@pytest.mark.parametrize("place", ["maps/mine", "maps/mine/prompts.json", "maps/mine/previews"])
def test_a_map_with_a_link_is_not_listed_and_its_target_is_never_shown(data, place):
    other = data.parent / "other"
    shutil.move(data / place, other)
    (data / place).symlink_to(other)
    studio = Studio(data, assets=data.parent)
    assert "mine" not in [entry.id for entry in studio.maps()]
    assert studio.user_maps.unreadable() == ["mine"]
    with pytest.raises(UserError, match="there is no such map"):
        studio.entry("mine")
    assert other.exists()


def test_a_link_that_is_added_later_is_noticed(data):
    studio, secret = Studio(data, assets=data.parent), data.parent / "secret"
    entry = studio.entry("mine")
    secret.write_text("secret")
    assert "README.md" in studio.user_maps.contents(entry)
    (data / "maps" / "mine" / "README.md").unlink()
    (data / "maps" / "mine" / "README.md").symlink_to(secret)
    with pytest.raises(UserError, match="there is no such map"):
        studio.entry("mine")


def test_a_hard_link_elsewhere_keeps_its_content(data):
    studio, outside = Studio(data, assets=data.parent), data.parent / "outside"
    outside.mkdir()
    places = [p for p in data.rglob("*") if p.is_file() and p.name not in ("lock", "votes.jsonl")]
    for number, place in enumerate(places):
        os.link(place, outside / str(number))
    before = [Path(outside / str(number)).read_bytes() for number in range(len(places))]
    studio.user_maps.rename("mine", "Renamed")
    studio.user_maps.rename(JOB, "Renamed")
    save_checkpoint({"iteration": torch.tensor(5)}, studio.jobs.folder / JOB)
    studio.user_maps.delete("mine")
    studio.user_maps.tidy()
    assert [Path(outside / str(number)).read_bytes() for number in range(len(places))] == before
