"""Models outside of the catalog: the field of the page, and the endpoint for programs."""

import time
from types import SimpleNamespace

import gradio as gr
import pytest

from app.learn.model_handlers import ModelHandlers
from app.studio.studio import Studio
from lineas_core.models.catalog import MODELS
from lineas_core.models.description import memory_of
from tests.app.fakes import is_skip, requested
from tests.app.served import Program, served
from tests.fakes import save_model, tiny_chat_model, tiny_image_model
from tests.hub import Repository, serve, use


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A hub with two tiny models, and a studio that has neither."""
    root = tmp_path_factory.mktemp("any")
    for name, model in (("texts", tiny_chat_model()), ("pictures", tiny_image_model())):
        save_model(model, root / name)
    repositories = {f"some/{name}": Repository.of(root / name) for name in ("texts", "pictures")}
    with serve(repositories) as hub, pytest.MonkeyPatch.context() as patch:
        use(hub, patch, root / "hub")
        # The worker is a process of its own.
        patch.setenv("HF_ENDPOINT", hub.url)
        patch.setenv("HF_HUB_CACHE", str(root / "hub"))
        yield SimpleNamespace(hub=hub, root=root, studio=Studio(root / "data", assets=root))


def test_the_menu_has_every_model_that_this_machine_can_run(place, monkeypatch):
    handlers = ModelHandlers(place.studio)
    sizes = {name: memory_of(int(e.parameters * 1e9), e) for name, e in MODELS.items()}
    enough = sorted(sizes.values())[len(sizes) // 2]
    monkeypatch.setattr("lineas_core.models.description.total_memory", lambda: enough)
    names = [value for _, value in handlers.choices()]
    assert names == [name for name, size in sizes.items() if size <= enough]
    assert handlers.initial() in names


def test_a_look_that_takes_long_does_not_undo_a_later_choice(place, monkeypatch):
    handlers = ModelHandlers(place.studio)
    describe = place.studio.models.describe
    monkeypatch.setattr(
        place.studio.models, "describe", lambda name: (handlers.chosen(), describe(name))[1]
    )
    with requested():
        assert all(map(is_skip, handlers.look("some/pictures")))


def test_a_look_chooses_what_fits_and_says_why_anything_else_does_not(place, monkeypatch):
    handlers = ModelHandlers(place.studio)
    menu, shown = handlers.look("some/pictures")
    assert "picture model, StableDiffusionXLPipeline" in shown
    assert menu.value == f"some/pictures@{place.hub.repositories['some/pictures'].commit}"
    assert ("some/pictures", menu.value) in menu.choices
    first = menu.value
    menu, _ = handlers.look(str(place.root / "texts"))
    assert {first, menu.value} <= {value for _, value in menu.choices}
    menu, shown = handlers.look("some/typo")
    assert not isinstance(menu, gr.Dropdown)
    assert "no such repository" in shown
    monkeypatch.setattr("app.studio.models.total_memory", lambda: 1000)
    monkeypatch.setattr("app.learn.model_handlers.total_memory", lambda: 1000)
    menu, shown = handlers.look("some/texts")
    assert not isinstance(menu, gr.Dropdown)
    assert "some/texts does not fit in the memory of this machine" in shown


@pytest.mark.slow
def test_a_program_learns_on_a_model_of_the_hub_by_its_id(place):
    commit = place.hub.repositories["some/texts"].commit
    with served(place.studio) as (_, address):
        program = Program(address)
        sides = ["a b", "b c", "c d"], ["y z", "x y", "w x"]
        kind, value = program.call("learn", "T", *sides, "some/typo")
        assert (kind, "no such repository" in value["error"]) == ("error", True)
        kind, (job_id,) = program.call("learn", "T", *sides, "some/texts@main", "quick", 0, "caa")
        assert kind == "complete", job_id
        while (job := program.call("job", job_id)[1][0])["state"] not in ("done", "failed"):
            time.sleep(0.2)
        assert (job["state"], job["message"], job["notes"]) == ("done", "", [])
        (entry,) = place.studio.maps()
        assert entry.model == f"some/texts@{commit}"
        assert place.studio.models.chats(entry.model)
        assert program.call("continue_text", job_id, "a", [0.5])[0] == "complete"
