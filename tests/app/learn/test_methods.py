"""Every method in the Learn tab: what the form shows of it, asks it for, and tells of it."""

from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path

import gradio as gr
import pytest

from app.html import maps as map_html
from app.learn import html as learn_html
from app.learn.endpoint import LearnEndpoint
from app.learn.form import SETTINGS, config_of, values_of
from app.learn.form_handlers import FormHandlers
from app.learn.job_handlers import JobHandlers
from app.learn.report import report
from app.studio.maps import MapEntry
from lineas_core import FitConfig, LearnConfig, SteeringMaps, UserError
from lineas_core.methods import METHODS
from lineas_core.methods.iti_c import ItiConfig
from lineas_core.methods.reft import ReftConfig
from tests.app.fakes import JOB, MAPS, MARKUP, text_studio
from tests.app.learn.forms import start
from tests.app.served import Program, event_of


@pytest.fixture
def studio():
    return text_studio()


def _passed(start, end):
    """The records of a method without iterations."""
    return [{"iteration": k, "loss": None, "heldout": h} for k, h in enumerate((start, end))]


@pytest.mark.parametrize("method", METHODS)
def test_only_the_settings_that_a_method_has_are_shown(studio, method):
    budget, *updates = FormHandlers(studio).choose_method(method, "tiny", None)
    shown = [name for name, update in zip(SETTINGS, updates, strict=True) if update["visible"]]
    assert set(shown) == {field.name for field in fields(METHODS[method].config)}
    assert budget.visible == (method == "lineas")


def test_a_method_brings_its_own_settings_along(studio):
    _, *updates = FormHandlers(studio).choose_method("iti-c", "tiny", None)
    values = {name: u.get("value") for name, u in zip(SETTINGS, updates, strict=True)}
    assert (values["precision"], values["micro_batch_size"]) == ("float32", 0)
    assert values["penalty"] == ItiConfig.penalty


@pytest.mark.parametrize("method", ["mean-act", "reft", "lineas"])
def test_the_page_shows_the_settings_of_a_method(page, method):
    number = event_of(page[0], "FormHandlers.choose_method")
    answer = Program(page[1]).join(f"learner-{method}", number, [method, "emoji-world", None])
    assert answer["success"], answer
    _, *updates = answer["output"]["data"]
    shown = {n: u["value"] for n, u in zip(SETTINGS, updates, strict=True) if u["visible"]}
    assert set(shown) == {field.name for field in fields(METHODS[method].config)}
    if method == "reft":
        assert (shown["epochs"], shown["rank"]) == (ReftConfig.epochs, ReftConfig.rank)


def test_the_form_asks_a_method_for_what_it_takes(studio):
    handlers = FormHandlers(studio)
    start(handlers, method="mean-act", pooling="last", iterations=7)
    start(handlers, method="iti-c", penalty=2.0)
    start(handlers, iterations=7)
    mean, iti, lineas = studio.jobs.submitted
    assert (mean.method, mean.config, mean.iterations) == (
        "mean-act",
        FitConfig("last", "auto"),
        0,
    )
    assert iti.config == replace(METHODS["iti-c"].config, penalty=2.0, precision="auto")
    assert (lineas.method, lineas.config) == ("lineas", LearnConfig(iterations=7))


@pytest.mark.parametrize("method", METHODS)
def test_a_setting_that_is_left_empty_is_one_sentence_or_has_a_meaning(method):
    """Every number box and slider of the form can be emptied."""
    values = values_of(METHODS[method].config)
    for name in values:
        given = [{**values, name: None}.get(each) for each in SETTINGS]
        with suppress(UserError):
            config_of(METHODS[method], given)


def test_the_endpoint_learns_with_every_method(studio):
    endpoint = LearnEndpoint(studio)
    for name, method in METHODS.items():
        endpoint.learn("t", ["a", "b"], ["c", "d"], method=name)
        assert studio.jobs.submitted[-1].method == name
        assert studio.jobs.submitted[-1].config == method.config
    tone = {"identity_loss": True, "shift_only": True}
    for settings in ({"both_ways": True}, tone, tone | {"support": 0.3}, {"sparsity": 0.5}):
        endpoint.learn("t", ["a", "b"], ["c", "d"], **settings)
        assert studio.jobs.submitted[-1].config == LearnConfig(**settings)
    endpoint.learn("t", ["a", "b"], ["c", "d"], method="caa", support=0.3, both_ways=False)
    assert studio.jobs.submitted[-1].config == replace(METHODS["caa"].config, support=0.3)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"method": "huge"}, "Give one of lineas, lin-act"),
        ({"method": MARKUP}, "Method is"),
        ({"method": "caa", "budget": "normal"}, "CAA has no iterations"),
        ({"method": "caa", "both_ways": True}, "no both_ways"),
        ({"method": "caa", "shift_only": True}, "no shift_only"),
        ({"method": "lin-act", "support": 0.3}, "no support"),
        ({"method": "caa", "sparsity": 0.5}, "no sparsity"),
        ({"sparsity": 11}, "Sparsity is 11"),
        ({"method": "caa", "support": 2}, "Support is 2"),
        ({"method": "reft", "model": "emoji-world"}, "ReFT cannot steer a text-to-image model"),
    ],
)
def test_the_endpoint_refuses_what_no_method_can(studio, changes, sentence):
    with pytest.raises(gr.Error, match=sentence) as caught:
        LearnEndpoint(studio).learn("t", ["a", "b"], ["c", "d"], **changes)
    assert "<img" not in str(caught.value)
    assert studio.jobs.submitted == []


def test_the_estimate_counts_prompts_batches_and_held_out_prompts_apart(studio):
    source = "\n".join(f"prompt {k}" for k in range(32))

    def estimate(batch, heldout):
        counts = 80, batch, None, None
        return FormHandlers(studio).estimate("lineas", "tiny", source, heldout, *counts)

    assert "with 32 prompts per side." in estimate(0, 0)
    assert "with 32 prompts per side, 8 of them per iteration." in estimate(8, 0)
    assert "with 8 prompts per side, 24 more held out." in estimate(8, 24)
    for heldout in (31, 32, 40):
        assert "At least 2 prompts must not be held out" in estimate(0, heldout)


def test_a_pass_is_told_to_be_short_and_without_iterations(studio):
    estimate = FormHandlers(studio).estimate
    assert "About 2 min" in estimate("lineas", "tiny", "a\nb\nc", 0, 80, 0, None, None)
    assert "About 2 s with 3 prompts per side, without iterations" in estimate(
        "caa", "tiny", "a\nb\nc", 0, None, None, 10, 4
    )
    longer = estimate("reft", "tiny", "a\nb\nc", 0, None, None, 10, None)
    assert "About 45 s" in longer
    assert "About 8 min" in estimate("reft", "tiny", "a\nb\nc", 0, None, None, 100, None)
    assert "without" not in longer


def test_a_job_without_iterations_is_not_said_to_have_one(studio):
    request = replace(JOB.request, method="iti-c", config=ItiConfig())
    job = replace(JOB, request=request, state="done", iteration=1)
    shown = learn_html.job_state(job)
    assert "ITI-C, in one pass" in shown
    assert "iteration" not in shown.replace("Iterations", "")
    assert job.eta is None
    of_reft = replace(request, method="reft", config=METHODS["reft"].config)
    assert "ReFT, 10 epochs" in learn_html.job_state(replace(job, request=of_reft))
    studio.jobs.jobs = [replace(job, state="stopped")]
    _, state, _, *buttons, curve, _, _, _ = JobHandlers(studio).watch(None, "")
    assert "kept" not in state
    assert [button.visible for button in buttons] == [False, True, False, True]
    assert curve == ""


def test_what_a_pass_wrote_stands_at_its_own_strength():
    record = {"iteration": 1, "loss": None, "strength": 0.5, "text": " a text"}
    assert "after the pass, λ = 0.5" in learn_html.previews("Once", [record])


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (
            _passed(1.0, 0.4),
            "60% of the way to the target at λ = 0.5, on prompts that the map has not seen "
            "(held-out distance 1 → 0.4)",
        ),
        (_passed(1.0, 0.9), "or LinEAS"),
        (_passed(1.0, 1.3), "away from the target"),
        (_passed(None, None), "Hold some prompts out"),
    ],
)
def test_the_report_of_a_pass_speaks_of_no_iterations(records, words):
    lines = " ".join(report(records, SteeringMaps(MAPS.maps, {"strength": 0.5})))
    assert words in lines
    assert "iteration" not in lines


def _about(**metadata):
    sizes = {"source_size": 32, "target_size": 30, "heldout_start": 2.0, "heldout": 0.5}
    entry = MapEntry("id", "Mine", "tiny", "yours", Path("unused"), {**sizes, **metadata})
    return map_html.about(entry, MAPS), map_html.summary(entry)


def test_the_facts_of_a_map_are_those_of_its_method():
    config = {"optimizer": "adam", "sparsity": 0.1}
    facts, summary = _about(method="lineas", iteration=80, config=config, strength=1.0)
    assert "32 source and 30 target prompts, 80 iterations" in facts
    assert "optimiser adam, sparsity γ = 0.1" in facts
    assert "2.00 before, 0.50 after<" in facts
    assert "by LinEAS" not in summary
    facts, summary = _about(method="iti-c", config={"penalty": 1.0}, strength=0.5)
    assert METHODS["iti-c"].title in facts
    assert "in one pass" in facts
    assert "2.00 before, 0.50 after at λ = 0.5" in facts
    assert "by ITI-C" in summary
    assert "optimizer" not in facts
    facts, _ = _about(method="reft", config={"epochs": 10})
    assert "30 target prompts, 10 epochs" in facts
    assert "?" not in facts


@pytest.mark.parametrize("told", ["0.5", float("nan"), -1.0, 7.0, True, None, 0.0])
def test_a_strength_that_means_nothing_is_not_believed(told):
    facts, summary = _about(method=MARKUP, strength=told)
    assert "at λ" not in facts
    assert "<img" not in facts + summary
