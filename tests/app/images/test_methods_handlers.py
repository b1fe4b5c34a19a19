"""The comparison between methods as plain functions: what there is, what is learnt, painted."""

import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import gradio as gr
import pytest

from app.images.methods_handlers import MethodsHandlers
from app.jobs.job import JobRequest
from app.studio.maps import MapEntry
from lineas_core import PromptSet
from lineas_core.methods import METHODS
from lineas_core.steering.presets import find_modules
from tests.app.fakes import JOB, MARKUP, ME, USUAL, FakeStudio

PROMPTS = PromptSet(("a b", "b c"), ("y z", "x y"), ("c d",), ("w x",), keywords=("with ab",))
PICTURES = [name for name, method in METHODS.items() if "text-to-image" in method.kinds]
CLOSED_FORM = [name for name in PICTURES if name != "lineas"]
MODULES = {"down.0": 2, "up.0": 2}


class _Studio(FakeStudio):
    """Knows one map of LinEAS, and whatever a test adds; nothing learns by itself."""

    def __init__(self, root):
        super().__init__([])
        self._root = root
        self.entries = [self.map("mine", "lineas", title=MARKUP)]

    def map(self, name, method, prompts=PROMPTS, *, title="Mine", **metadata):
        folder = self._root / name
        folder.mkdir()
        if prompts:
            given = {k: v for k, v in asdict(prompts).items() if v}
            (folder / "prompts.json").write_text(json.dumps(given))
        facts = {"method": method, "modules": MODULES, "heldout_start": 2.0, "heldout": 0.5}
        facts |= {"strength": METHODS[method].strength, "sha256": name, **metadata}
        return MapEntry(name, title, "small", "yours", folder, facts, kind="text-to-image")


@pytest.fixture
def studio(tmp_path):
    return _Studio(tmp_path)


@pytest.fixture
def handlers(studio):
    return MethodsHandlers(studio)


def _look(handlers, map_id="mine", painted=None):
    """The sentence, and whether one can paint, can learn, has to wait."""
    told, paint, others, timer, *_ = handlers.refresh(map_id, painted or {})
    return told, paint.visible, others.visible, timer.active


def _job(method, state, **changes):
    request = JobRequest("t", "small", PROMPTS, METHODS[method].config, method=method)
    return replace(JOB, request=request, state=state, **changes)


def test_a_map_that_is_alone_names_the_next_step(handlers):
    told, *can = _look(handlers)
    assert "LinEAS has learnt" in told
    assert "Learn the others" in told
    assert can == [False, True, False]


def test_a_public_demo_does_not_offer_to_learn_the_others(studio, handlers):
    studio.read_only = True
    told, *can = _look(handlers)
    assert "LinEAS has learnt" in told
    assert "Learn the others" not in told
    assert can == [False, False, False]


def test_one_button_queues_the_methods_without_iterations_at_the_same_modules(studio, handlers):
    handlers.learn_others("mine", {})
    queued = studio.jobs.submitted
    assert [request.method for request in queued] == CLOSED_FORM
    assert all(request.config == METHODS[request.method].config for request in queued)
    assert all(request.prompts.heldout_source == PROMPTS.heldout_source for request in queued)
    assert {request.prompts.keywords for request in queued} == {PROMPTS.keywords}
    assert queued[0].title == f"{MARKUP} · Lin-AcT"
    network = _named("down.0", "up.0", "up.01", "mid")
    assert find_modules(network, queued[0].preset) == list(MODULES)


def _named(*names):
    modules = [(name, SimpleNamespace(children=lambda: ())) for name in names]
    return SimpleNamespace(named_modules=lambda: modules)


def test_what_is_there_or_under_way_is_not_learnt_again(studio, handlers):
    studio.entries.append(studio.map("iti", "iti-c"))
    studio.jobs.jobs = [_job("caa", "running"), _job("aura", "queued")]
    told, *can = _look(handlers)
    assert "Learning: AURA and CAA" in told
    assert can == [True, False, True]
    handlers.learn_others("mine", {})
    assert [r.method for r in studio.jobs.submitted] == ["lin-act", "mean-act", "caa-mid"]


def test_a_method_that_failed_says_why_and_can_be_tried_again(studio, handlers):
    studio.jobs.jobs = [_job("aura", "failed", message=f"no memory {MARKUP}")]
    told, _, learn, waits = _look(handlers)
    assert "AURA: no memory" in told
    assert "<img" not in told
    assert (learn, waits) == (True, False)


def test_a_map_of_one_module_does_not_narrow_the_others(studio, handlers):
    studio.entries = [studio.map("middle", "caa-mid", modules={"up.0": 2})]
    handlers.learn_others("middle", {})
    assert {request.preset for request in studio.jobs.submitted} == {None}


def test_a_map_without_its_prompts_says_so(studio, handlers):
    studio.entries.append(studio.map("bare", "lineas", None))
    told, *can = _look(handlers, "bare")
    assert "shared without its prompts" in told
    assert can == [False] * 3


def test_only_maps_of_the_same_prompts_and_model_stand_beside_each_other(studio, handlers):
    studio.entries += [
        studio.map("iti", "iti-c", heldout=1.25),
        studio.map("other", "caa", replace(PROMPTS, heldout_source=("e f",))),
        replace(studio.map("elsewhere", "aura"), model="large"),
        studio.map("copy", "lineas", sha256="mine"),
        studio.map("unmeasured", "mean-act", heldout=None),
    ]
    *_, (labelled, told, painted) = handlers.paint("mine", "A valley", 3, 0.75, *USUAL, ME)
    assert painted["maps"] == ["", "mine", "unmeasured", "iti"]
    assert [label for _, label in labelled] == [
        "original\nheld-out 2.00",
        "LinEAS\nheld-out 0.50\nchanged by 8%",
        "Mean-AcT\nchanged by 8%",
        "ITI-C\nheld-out 1.25 at λ\N{NO-BREAK SPACE}0.5\nchanged by 8%",
    ]
    assert [image.getpixel((0, 0)) for image, _ in labelled] == [100, 175, 175, 175]
    assert "“A valley”, seed 3, λ = +0.75" in told


def test_every_method_says_what_it_left(studio, handlers):
    tagged = {"keywords": ["with a robot", "robot"]}
    studio.entries = [studio.map("one", "lineas", **tagged), studio.map("iti", "iti-c", **tagged)]
    *_, (labelled, *_) = handlers.paint("one", "A valley, with a robot", 3, 0.75, *USUAL, ME)
    assert [label.split("\n")[-1] for _, label in labelled[1:]] == [
        "25% left, rest changed by 4%"
    ] * 2


def test_a_picture_that_is_clicked_brings_back_all_that_made_it(studio, handlers):
    studio.entries.append(studio.map("iti", "iti-c"))
    *_, (*_, painted) = handlers.paint("mine", "A valley", 3, 1, *USUAL, ME)
    menu, *settings = handlers.take(painted, SimpleNamespace(index=2))
    assert menu.value == "iti"
    assert settings == [1, "A valley", 3, ["iti", "A valley"]]
    assert handlers.take(painted, SimpleNamespace(index=0))[1] == 0


def test_pictures_stay_while_one_of_their_maps_is_chosen(handlers):
    kept = handlers.refresh("mine", {"maps": ["", "mine"]})
    assert (kept.gallery, kept.description) == (gr.skip(), gr.skip())
    emptied = handlers.refresh("mine", {"maps": ["", "robot"]})
    assert (emptied.gallery, emptied.description) == ([], "")


def test_waiting_for_a_map_that_was_deleted_ends(handlers):
    _, paint, others, timer, *_, learnt = handlers.wait("gone", {})
    assert [part.visible for part in (paint, others)] == [False, False]
    assert not timer.active
    assert learnt == gr.skip()


def test_another_map_ends_the_painting_for_the_one_before(studio, handlers, monkeypatch):
    monkeypatch.setattr("app.images.side_by_side._AT_ONCE", 1)
    studio.entries += [studio.map("iti", "iti-c"), studio.map("other", "caa", None)]
    stream = handlers.paint("mine", "A valley", 3, 1, *USUAL, ME)
    *_, painted = next(stream)
    handlers.choose("iti", painted, ME)  # one of those that are painted
    next(stream)
    assert handlers.choose("other", painted, ME).gallery == []
    assert list(stream) == [([], "", {})]  # also if pictures came after the answer to the choice


def test_once_all_have_learnt_they_are_painted(studio, handlers):
    studio.jobs.jobs = [_job("caa", "running")]
    assert handlers.wait("mine", {})[-1] == gr.skip()
    studio.jobs.jobs = [_job("caa", "done")]
    studio.entries.append(studio.map("caa", "caa"))
    _, _, _, timer, *_, learnt = handlers.wait("mine", {})
    assert not timer.active
    assert learnt == "mine caa"


def test_nothing_is_painted_while_a_number_is_typed(handlers):
    assert list(handlers.paint("mine", "A valley", None, 1, *USUAL, ME)) == []
    assert list(handlers.paint(None, "A valley", 1, 1, *USUAL, ME)) == []


def test_a_painting_that_has_waited_for_its_turn_is_not_of_the_map_before(studio, handlers):
    """Its map was chosen when it was asked for, but not when its turn came."""
    studio.entries.append(studio.map("other", "caa", replace(PROMPTS, source=("e f", "g h"))))
    handlers.choose("other", {}, ME)
    assert [*handlers.paint("mine", "A valley", 3, 0.75, *USUAL, ME)] == [([], "", {})]
