"""What the Learn tab shows of a job."""

from dataclasses import replace

import gradio as gr
import pytest

from app.learn.job_handlers import JobHandlers
from lineas_core import AffineMap, PromptSet, SteeringMaps, save_maps
from tests.app.fakes import JOB, text_studio


@pytest.fixture
def studio():
    return text_studio()


def test_watching_redraws_only_what_changed(studio):
    handlers = JobHandlers(studio)
    studio.jobs.jobs = [JOB]
    menu, state, report, *buttons, curve, previews, _, seen = handlers.watch(None, "")
    assert menu.value == JOB.id
    assert "iteration 2 of 4" in state
    assert "about 4 s left" in state
    assert [button.visible for button in buttons] == [True, False, False, False]
    assert "held-out distance <b>50%</b>" in curve
    assert report == ""
    assert "<img" not in state + previews
    assert set(map(str, handlers.watch(JOB.id, seen))) == {str(gr.skip())}


def test_a_look_at_a_job_never_chooses_it_again(studio):
    """The answer to a tick of the timer came after another job was chosen, and took it back."""
    other = replace(JOB, id="20260101-000001-abcd")
    studio.jobs.jobs = [JOB, other]
    menu, *_ = JobHandlers(studio).watch(JOB.id, "")
    assert menu.constructor_args.keys() == {"choices"}
    studio.jobs.jobs = [other]
    assert JobHandlers(studio).watch(JOB.id, "").menu.value == other.id


def test_a_damaged_map_of_a_job_is_told_once(studio, tmp_path):
    (tmp_path / "lineas.safetensors").write_bytes(b"not one")
    studio.jobs.jobs = [replace(JOB, state="done", map_folder=tmp_path)]
    handlers = JobHandlers(studio)
    _, state, report, *_, seen = handlers.watch(None, "")
    assert "lineas.safetensors" in state or "is damaged" in state or tmp_path.name in state
    assert report == ""
    assert set(map(str, handlers.watch(JOB.id, seen))) == {str(gr.skip())}


def test_the_estimate_is_offered_before_the_first_iteration_is_over(studio, tmp_path):
    maps = SteeringMaps({"layer": AffineMap.identity(2)}, {"model": "m"})
    waiting = replace(JOB, iteration=0, map_folder=None)
    studio.jobs.jobs = [waiting]
    handlers = JobHandlers(studio)
    view = handlers.watch(JOB.id, "")
    assert not view.try_it.visible
    studio.jobs.jobs = [replace(waiting, map_folder=save_maps(maps, tmp_path / "map"))]
    assert handlers.watch(JOB.id, view.seen).try_it.visible


def test_a_job_that_left_no_map_can_be_deleted(studio):
    studio.jobs.jobs = [replace(JOB, state="failed")]
    *_, try_it, delete, _, _, _, _ = JobHandlers(studio).watch(None, "")
    assert (try_it.visible, delete.visible) == (False, True)
    JobHandlers(studio).delete(JOB.id)
    assert studio.jobs.deleted == [JOB.id]


def test_a_job_that_hangs_says_what_to_do_and_offers_it(studio):
    studio.jobs.jobs = [replace(JOB, state="hung")]
    _, state, _, stop, resume, *_ = JobHandlers(studio).watch(None, "")
    assert "Stop it, then press Resume to continue" in state
    assert (stop.visible, resume.visible) == (True, False)


def test_an_empty_list_of_jobs_names_the_next_step(studio):
    assert "press Start" in JobHandlers(studio).watch(None, "")[1]


def test_a_program_is_told_what_the_model_cuts_does_not_know_or_cannot_tell_apart(studio):
    prompts = PromptSet(("a dodecahedron", "long " * 20), ("x", "y"))
    job = replace(JOB, request=replace(JOB.request, prompts=prompts))
    studio.jobs.get = lambda _: job
    cut, unknown = JobHandlers(studio).job(JOB.id)["notes"]
    assert cut == "1 prompts are cut."
    assert "“dodecahedron”" in unknown
    studio.jobs.records = lambda _: [{"iteration": 0, "loss": 0.0}]
    assert "no difference between the source" in JobHandlers(studio).job(JOB.id)["notes"][-1]
