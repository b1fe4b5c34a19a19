"""The form of the Learn tab as plain functions: prompts and settings in, jobs out."""

import math
from functools import partial

import gradio as gr
import pytest

from app.learn.endpoint import LearnEndpoint
from app.learn.form import SETTINGS, SUITED, values_of
from app.learn.form_handlers import FormHandlers
from lineas_core import BUDGETS, LearnConfig
from lineas_core.learning.config import suited_config
from tests.app.fakes import JOB, is_skip, requested, text_studio
from tests.app.learn.forms import start


@pytest.fixture
def studio():
    return text_studio()


def test_a_shipped_set_fills_the_form_with_its_heldout_prompts_last(studio):
    filled = FormHandlers(studio).load_set("smollm2-135m", "lineas", "quick", "letters")
    assert _suited(filled) == _of(LearnConfig())
    *filled, known = filled[: -len(SUITED)]
    assert filled == ["Letters", "a\nb\nc\nd", "x\ny\nz\nw", 1, "Once upon a time"]
    assert known["boxes"] == filled[1:3]


def test_one_thing_fills_the_form_from_templates(studio):
    handlers = FormHandlers(studio)
    filled = handlers.write_set("emoji-world", "lineas", "quick", "owl", "remove an object")
    title, source, target, held, painted = filled[:5]
    assert (title, held) == ("Owl", 1)
    assert _suited(filled) == _of(suited_config(keeps_layout=True))
    assert painted == source.splitlines()[-1]  # held out, with an owl to take out
    assert all("an owl" in line for line in source.splitlines())
    assert "owl" not in target
    _, source, target, *_ = handlers.write_set(
        "smollm2-135m", "lineas", "quick", "chess", "write about it"
    )
    assert all("chess" in line.lower() for line in target.splitlines())
    assert "chess" not in source


def test_the_budget_of_the_paper_is_not_changed_to_suit_a_set(studio):
    filled = FormHandlers(studio).load_set("emoji-world", "lineas", "paper (DMD2)", "robot")
    assert _suited(filled) == _of(BUDGETS["paper (DMD2)"])


def test_settings_follow_the_kind_of_the_model_and_of_the_set(studio):
    handlers = FormHandlers(studio)
    for model, known, config in (
        ("emoji-world", None, suited_config(budget="normal", keeps_layout=True)),
        ("smollm2-135m", None, BUDGETS["normal"]),
        ("smollm2-135m", {"kind": "manner"}, suited_config("manner", "normal")),
        ("gemma-3-270m", {"kind": "topic"}, BUDGETS["normal"]),
        ("smollm2-135m", {"kind": "topic"}, suited_config("topic", "normal", preset="late")),
    ):
        values = dict(zip(SETTINGS, handlers.budget("normal", model, known), strict=True))
        assert values_of(config).items() <= values.items()
    *_, values = _split(
        handlers.choose_model("emoji-world", "", "lineas", "normal", {"kind": "manner"})
    )
    changed = {k: v for k, v in zip(SETTINGS, values, strict=True) if v != gr.skip()}
    assert changed == _of(suited_config(budget="normal", keeps_layout=True))


def test_an_aim_of_another_kind_of_model_is_refused(studio):
    with pytest.raises(gr.Error, match="Aim is 'remove an object'"):
        FormHandlers(studio).write_set(
            "smollm2-135m", "lineas", "quick", "owl", "remove an object"
        )


@pytest.mark.parametrize(
    ("model", "stem", "paper", "preview"),
    [
        ("smollm2-135m", "letters", "paper (language)", "Once upon a time"),
        ("emoji-world", "robot", "paper (DMD2)", "A castle by a lake"),
    ],
)
def test_the_form_fits_the_kind_of_the_model(studio, model, stem, paper, preview):
    fit = partial(FormHandlers(studio).choose_model, model)
    sets, aim, prompt, _, names, *_ = fit("A castle by a lake", "lineas", "thorough", None)
    assert aim.value == aim.choices[0][1]
    assert [value for _, value in sets.choices] == [stem]
    assert [value for _, value in names["choices"]] == ["quick", "normal", "thorough", paper]
    assert prompt == ["A castle by a lake", preview]
    assert "value" not in names  # stays
    _, _, kept, *_ = fit("My own words", "lineas", "quick", None)
    assert is_skip(kept)


def test_a_method_that_cannot_steer_the_model_gives_way():
    handlers = FormHandlers(text_studio())
    for model, method, possible in (
        ("smollm2-135m", "reft", True),
        ("emoji-world", "reft", False),
        ("emoji-world", "caa", True),
    ):
        _, _, _, menu, *_ = handlers.choose_model(model, "", method, "quick", None)
        assert (method in [name for _, name in menu.choices]) == possible
        # One that stays is left out: another one may have been chosen before the answer arrives.
        assert menu.constructor_args.get("value") == (None if possible else "lineas")


def test_a_budget_of_another_kind_of_model_gives_way_with_its_settings(studio):
    *_, names, settings = _split(
        FormHandlers(studio).choose_model("emoji-world", "", "lineas", "normal", None)
    )
    assert "value" not in names  # stays
    given = ("smollm2-135m", "", "lineas", "paper (DMD2)", None)
    *_, names, settings = _split(FormHandlers(studio).choose_model(*given))
    assert names["value"] == "quick"
    assert dict(zip(SETTINGS, settings, strict=True))["learning_rate"] == 0.02


def _of(config):
    return {name: values_of(config)[name] for name in SUITED}


def _suited(filled):
    return dict(zip(SUITED, filled[-len(SUITED) :], strict=True))


def _split(answers):
    return *answers[:5], answers[6:]


def test_a_set_leaves_the_settings_of_a_method_that_has_no_budgets(studio):
    """The learning rate of ReFT became that of LinEAS, five times as large."""
    handlers = FormHandlers(studio)
    loaded = handlers.load_set("smollm2-135m", "reft", "quick", "letters")
    written = handlers.write_set("smollm2-135m", "reft", "quick", "chess", "write about it")
    assert loaded.source
    assert all(map(is_skip, [*_suited(loaded).values(), *_suited(written).values()]))


def _meanwhile(patch, holder, name, choose):
    """Let a choice come while a function is running."""
    found = getattr(holder, name)
    patch.setattr(holder, name, lambda *given, **options: (choose(), found(*given, **options))[1])


@pytest.mark.parametrize("choice", ["method", "budget"])
def test_a_late_answer_leaves_the_settings_of_what_was_chosen_meanwhile(
    studio, monkeypatch, choice
):
    handlers = FormHandlers(studio)
    choices = {
        "method": lambda: handlers.choose_method("reft", "smollm2-135m", None),
        "budget": lambda: handlers.budget("thorough", "smollm2-135m", None),
    }
    asked = (handlers.choose_model, ("smollm2-135m", "", "lineas", "normal", None))
    with requested():
        *view, settings = _split(asked[0](*asked[1]))
        assert not all(map(is_skip, settings))
    for name in ("sets", "set_of", "about"):
        holder = handlers if name == "sets" else studio.prompts
        _meanwhile(monkeypatch, holder, name, choices[choice])
    with requested():
        *view, settings = _split(asked[0](*asked[1]))
        assert all(map(is_skip, settings))
        assert view[0].choices  # the menus are still those of the model
        loaded = handlers.load_set("smollm2-135m", "lineas", "quick", "letters")
        written = handlers.write_set("smollm2-135m", "lineas", "quick", "owl", "write about it")
    assert all(map(is_skip, [*_suited(loaded).values(), *_suited(written).values()]))
    assert written[0] == "Owl"


def test_a_late_answer_leaves_the_menus_of_a_model_chosen_meanwhile(studio, monkeypatch):
    handlers = FormHandlers(studio)
    later = FormHandlers(studio)
    given = ("", "lineas", "quick", None)
    _meanwhile(monkeypatch, handlers, "sets", lambda: later.choose_model("emoji-world", *given))
    with requested():
        assert all(map(is_skip, handlers.choose_model("smollm2-135m", *given)))


def test_sides_for_pictures_are_said_to_be_matched_or_not(studio):
    told = FormHandlers(studio).matching
    scenes, added = "A fox\nA lake, soft light", "A fox with a car\nA lake, a car, soft light"
    assert "sides are matched" in told("emoji-world", added, scenes)
    assert "not matched" in told("emoji-world", "A car\nA red car", scenes)
    for model, source, target in (("emoji-world", "", ""), ("tiny", added, scenes)):
        assert told(model, source, target) == ""


def test_a_counter_shows_problems_at_once(studio):
    counter = FormHandlers(studio).count("tiny", "one\none\n\ntwo")
    assert ">2</b> prompts (32 recommended" in counter
    assert "problem" in counter


def test_words_that_a_small_model_has_not_learnt_are_told_before_it_learns(studio):
    handlers = FormHandlers(studio)
    assert "“lighthouse”" in handlers.count("tiny", "a lake\na lighthouse")
    assert "learnt" not in handlers.count("tiny", "a lake")


def test_the_form_becomes_a_request(studio):
    menu = start(FormHandlers(studio))
    (request,) = studio.jobs.submitted
    assert menu.value == JOB.id
    assert request.title == "Mine"
    assert request.prompts.source == ("a", "b", "c")
    assert request.prompts.heldout_source == ("d",)
    assert request.preset is None
    assert request.config == LearnConfig()


def test_the_steps_to_learn_at_go_along_for_pictures(studio):
    start(FormHandlers(studio), model="flux.1-schnell", learn_at="0, 2")
    sides = ["a", "b"], ["c", "d"]
    learn = LearnEndpoint(studio).learn
    learn("t", *sides, "flux.1-schnell", learn_at=[1], steps=4, guidance=2.5, modules=".*norm1")
    learn("t", *sides, "tiny")
    form, program, texts = studio.jobs.submitted
    assert form.denoising == {"learn_at": [0, 2]}
    settings = {"num_inference_steps": 4, "guidance_scale": 2.5, "learn_at": [1]}
    assert (program.denoising, program.preset) == (settings, ".*norm1")
    assert texts.denoising == {}
    for refused in ({"learn_at": [0]}, {"steps": 4}, {"guidance": 0}):
        with pytest.raises(gr.Error, match="iny writes texts, which take no denoising steps"):
            learn("t", *sides, "tiny", **refused)
    for refused in ({"learn_at": [1]}, {"steps": 4}):
        with pytest.raises(gr.Error, match="Emoji World paints in 1 step. Leave out"):
            learn("t", *sides, "emoji-world", **refused)
    for wrong in (3, ["x"], [-4], [0.5]):
        with pytest.raises(gr.Error, match="[Ss]tep"):
            learn("t", *sides, "flux.1-schnell", learn_at=wrong)


def test_steps_to_learn_at_are_offered_where_a_model_has_several(studio):
    for model, several in (("flux.1-schnell", True), ("emoji-world", False), ("tiny", False)):
        *_, timing = FormHandlers(studio).choose_model(model, "", "lineas", "quick", None)[:6]
        assert timing["visible"] == several


def test_what_is_known_of_a_set_goes_along_until_a_box_is_changed(studio):
    handlers = FormHandlers(studio)
    title, source, target, heldout, _, known, *_ = handlers.write_set(
        "smollm2-135m", "lineas", "quick", "chess", "write about it"
    )
    form = {"title": title, "source": source, "target": target, "heldout": heldout}
    start(handlers, **form, known=known)
    start(handlers, **{**form, "source": f"{source}\nmore"}, known=known)
    same, changed = (request.prompts for request in studio.jobs.submitted)
    assert (same.keywords, changed.keywords) == (("chess",), ())
    assert same.kind == changed.kind == "topic"  # the settings in the form suit it


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"source": "only one"}, "source"),
        ({"heldout": 3}, "0 to 2 possible"),
        ({"model": "gemma-3-270m"}, "Click Install"),
        ({"model": "owner/any"}, "There is no model"),
        ({"source": ""}, "0 prompts found"),
        ({"target": "\udcff\nb"}, "target.txt, line 1"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"sparsity": math.inf}, "Sparsity is inf"),
        ({"iterations": 10**9}, "from 1 to 100000"),
        ({"batch_size": -1}, "batch_size is -1"),
        (
            {"model": "flux.1-schnell", "learn_at": "first"},
            "Give whole numbers from 0, such as 0,2",
        ),
    ],
)
def test_a_form_that_cannot_work_is_refused_in_one_sentence(studio, changes, sentence):
    studio.models.missing = {"gemma-3-270m"}
    with pytest.raises(gr.Error, match=sentence):
        start(FormHandlers(studio), **changes)
    assert studio.jobs.submitted == []


def test_equal_sides_are_learnt_with_a_word_of_warning(studio):
    with pytest.warns(UserWarning, match="equal: the map will be the identity"):
        start(FormHandlers(studio), target="a\nb\nc\nd")
    assert len(studio.jobs.submitted) == 1


def test_prompts_that_are_cut_are_told_before_they_are_learnt_from(studio):
    told = FormHandlers(studio).matching
    long, short = "a quiet lake " * 4, "a lake"
    assert "2 prompts are cut" in told("tiny", f"{long}\n{short}", f"{long}x\n{short}")
    assert told("tiny", short, short) == ""


def test_syntax_of_other_programs_is_named_at_once(studio):
    assert "(cat:1.2)" in FormHandlers(studio).count("tiny", "a (cat:1.2)\na dog")


def test_the_endpoint_refuses_an_unknown_budget(studio):
    with pytest.raises(gr.Error, match="quick, normal"):
        LearnEndpoint(studio).learn("t", ["a", "b"], ["c", "d"], budget="huge")


def test_a_model_that_does_not_exist_is_refused_before_its_job_is_queued(studio):
    with pytest.raises(gr.Error, match="There is no model 'owner/any'"):
        LearnEndpoint(studio).learn("t", ["a", "b"], ["c", "d"], model="owner/any")
    assert studio.jobs.submitted == []


def test_half_a_character_in_a_title_does_not_break_the_list_of_jobs(studio):
    LearnEndpoint(studio).learn("x\ud83e", ["a", "b"], ["c", "d"], model="tiny")
    assert [request.title for request in studio.jobs.submitted] == ["x?"]
