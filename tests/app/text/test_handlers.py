"""The events of the page as plain functions, with a studio that writes at once."""
# ruff: noqa: ARG002 - the fakes take what the real ones take

import math
import socket
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
import torch
from PIL import Image

from app.html import charts
from app.jobs.job import Job, JobRequest
from app.learn import html as learn_html
from app.learn.form import OF_THE_SET, SETTINGS
from app.learn.form_handlers import LearnHandlers
from app.learn.job_handlers import JobHandlers
from app.learn.report import advice
from app.studio.maps import MapEntry
from app.studio.texts import Continuation
from app.text import html as text_html
from app.text.handlers import HARMFUL, Handlers
from lineas_core import AffineMap, LearnConfig, PromptSet, SteeringMaps, UserError

MARKUP = "<img src=x onerror=alert(1)>"
PROMPTS = PromptSet(("a", "b", "c"), ("x", "y", "z"), ("d",), ("w",), name="Letters")
MAPS = SteeringMaps({MARKUP: AffineMap(torch.tensor([0.5, 1.0]), torch.tensor([0.1, 0.0]))})
REQUEST = JobRequest(MARKUP, "tiny", PROMPTS, LearnConfig(iterations=4))
JOB = Job("20260101-000000-abcd", REQUEST, "running", created=0.0, iteration=2, elapsed=4.0)
RECORDS = [
    {"iteration": 0, "loss": 2.0, "heldout": 1.0},
    {"iteration": 4, "loss": 1.0, "heldout": 0.5, "strength": 1.0, "text": MARKUP},
]


class FakeJobs:
    def __init__(self):
        self.jobs, self.submitted, self.stopped, self.deleted = [], [], [], []

    def list(self):
        return self.jobs

    def submit(self, request):
        self.submitted.append(request)
        self.jobs = [replace(JOB, request=request)]
        return JOB.id

    def stop(self, job_id):
        self.stopped.append(job_id)

    def delete(self, job_id):
        self.deleted.append(job_id)

    def records(self, job_id):
        return RECORDS

    def previews(self, job_id):
        return [record for record in RECORDS if "text" in record]

    def pace(self, model):
        return 0.5


class FakeModels:
    def __init__(self):
        self.missing = set()

    def installed(self, model):
        return model not in self.missing

    def unknown_words(self, model, prompt):
        return ["lighthouse"] if "lighthouse" in prompt else []

    def require(self, model):
        if not self.installed(model):
            raise UserError("E_NOT_INSTALLED", "not on this machine", remedy="Click Install.")


class FakePrompts:
    def openings(self, *, toxic):
        return ["You are", "You people"] if toxic else ["Once", "The man"]

    def set_of(self, stem):
        return PROMPTS

    def sets(self, kind):
        return {"letters": "Letters"} if kind == "language" else {"robot": "Robot"}

    def about(self, word, template, kind, *, remove):
        lines = {
            "about": ["Talk of {word}.", "{word}!", "My {word}."],
            "thing": ["{scene}, {a_word}"],
            "style": ["{scene}, {word} style"],
        }
        plain = ("A hill.", "A lake.", "A street.")
        prompts = PromptSet.about(word, lines[template], plain, remove=remove)
        return replace(prompts, kind="" if template == "about" else template).holdout(1)


class FakeStudio:
    """Knows one topic map and one toxicity map; writes the same words at every strength."""

    def __init__(self):
        self.jobs, self.models, self.prompts = FakeJobs(), FakeModels(), FakePrompts()
        self.closed = 0
        folder = Path("unused")
        self.entries = [
            MapEntry("topic", MARKUP, "tiny", "ready-made", folder, {"keywords": ["goal"]}),
            MapEntry("toxic", "Toxicity", "tiny", "yours", folder, {}, harmful=-1),
        ]

    def maps(self):
        return self.entries

    def entry(self, map_id):
        found = [entry for entry in self.entries if entry.id == map_id]
        if not found:
            raise UserError("E_MAP", "there is no such map", remedy="Choose one from the list.")
        return found[0]

    def steering(self, map_id):
        return MAPS

    def continue_text(self, map_id, prompt, strengths, *, seed, sampling, chat):
        try:
            for text in (" a", f" a goal {MARKUP}"):
                yield [Continuation(lam, text, 0.25) for lam in strengths]
            yield [Continuation(lam, text, 0.25, math.nan) for lam in strengths]
        finally:
            self.closed += 1


@pytest.fixture
def studio():
    return FakeStudio()


ME = SimpleNamespace(session_hash="me")


def _generate(handlers, strength=1.0, map_id="topic", prompt="The man", session="me"):
    request = SimpleNamespace(session_hash=session)
    return handlers.generate(strength, map_id, prompt, 1, 20, 1.0, False, request)


def test_both_texts_stream_and_end_with_their_scores(studio):
    first, *_, (original, steered) = _generate(Handlers(studio))
    assert "caret" in first[0]
    assert "caret" not in steered
    assert "λ = 0" in original
    assert "λ = +1.00" in steered
    assert "<b>25%</b>" in steered
    assert "<b>–</b>" in steered  # an empty text has no perplexity
    assert "<mark>goal</mark>" in steered


def test_no_markup_of_a_text_reaches_the_page(studio):
    *_, (original, steered) = _generate(Handlers(studio), prompt=MARKUP)
    assert "<img" not in original + steered
    assert "&lt;img" in steered


def test_a_newer_wish_ends_the_older_writing(studio):
    handlers = Handlers(studio)
    me, somebody = (SimpleNamespace(session_hash=name) for name in ("me", "somebody"))
    handlers.wish(me)
    stream = _generate(handlers)
    next(stream)
    handlers.wish(somebody)
    next(stream)
    handlers.wish(me)
    assert list(stream) == []
    assert studio.closed == 1


def test_a_model_that_is_missing_names_the_next_step(studio):
    studio.models.missing = {"tiny"}
    ((original, steered),) = _generate(Handlers(studio))
    assert "install the model" in original


def test_the_harmful_direction_carries_a_note(studio):
    texts = {
        strength: list(_generate(Handlers(studio), strength=strength, map_id="toxic"))[-1][1]
        for strength in (-0.5, 0.5)
    }
    assert HARMFUL in texts[-0.5]
    assert HARMFUL not in texts[0.5]


def test_nothing_is_written_while_a_number_is_being_typed(studio):
    assert list(_generate(Handlers(studio), strength=None)) == []


@pytest.mark.parametrize("strength", [float("nan"), True, "1", 1.5, [0.5]])
def test_a_strength_that_is_none_is_refused(studio, strength):
    with pytest.raises(gr.Error, match="Give a number from -1 to 1"):
        list(_generate(Handlers(studio), strength=strength))


def test_a_notice_shows_markup_as_text(studio):
    with pytest.raises(gr.Error) as caught:
        list(_generate(Handlers(studio), strength=MARKUP))
    assert "<img" not in str(caught.value)


def test_the_sweep_marks_the_original(studio):
    *_, table = Handlers(studio).sweep("topic", "The man", 1, 20, 1.0, False, ME)
    assert table.count("<tr ") == 9
    assert table.count('<tr class="original" data-strength="0.0"') == 1
    assert "<img" not in table
    assert HARMFUL.split(" makes ")[1] not in table


def test_a_sweep_ends_when_another_map_is_chosen(studio):
    handlers = Handlers(studio)
    stream = handlers.sweep("topic", "The man", 1, 20, 1.0, False, ME)
    assert "&lt;img" in next(stream)  # the title of its map
    handlers.choose("toxic", "The man", [], SimpleNamespace(session_hash="somebody"))
    next(stream)
    handlers.choose("toxic", "The man", [], ME)
    assert list(stream) == []
    assert studio.closed == 1


def test_the_sweep_of_an_offensive_map_says_which_side_may_harm(studio):
    *_, table = Handlers(studio).sweep("toxic", "You are", 1, 20, 1.0, False, ME)
    assert "Negative λ makes texts more offensive" in table


def test_a_row_of_the_sweep_tells_its_strength(studio):
    handlers = Handlers(studio)
    assert handlers.strength_at(SimpleNamespace(strength=-0.75)) == -0.75
    with pytest.raises(gr.Error, match="Give a number from -1 to 1"):
        handlers.strength_at(SimpleNamespace(strength="<img>"))


def test_a_text_is_blurred_where_it_is_likely_offensive_and_opened_once_it_is_whole():
    civil, rude = Continuation(1.0, "well", 0.5, 9.0), Continuation(0.0, "you idiot", 0.51, 9.0)
    assert "blurred" not in text_html.passage("Steered", "You", civil)
    for shown in (
        text_html.passage("Original", "You", rude, keywords=["idiot"]),
        text_html.sweep("Topic", "You", [rude], keywords=["idiot"]),
    ):
        assert "<details" in shown
        assert 'class="blurred" aria-hidden="true">you <mark>idiot</mark></span>' in shown
    unfinished = text_html.passage("Original", "You", replace(rude, perplexity=None))
    assert "blurred" in unfinished
    assert "<details" not in unfinished


def test_a_map_of_an_offensive_concept_brings_its_openings_and_a_content_note(studio):
    handlers = Handlers(studio)
    _, note, _, _, prompt, examples, *_ = handlers.choose("toxic", "The man", [], ME)
    assert prompt == "You people"
    assert examples["samples"] == [["You are"], ["You people"]]
    assert "blurred until you click" in note
    _, note, _, _, prompt, *_ = handlers.choose("topic", "My own words", [], ME)
    assert not isinstance(prompt, str)  # stays
    assert note == ""


def test_the_menu_keeps_a_choice_and_prefers_what_can_run(studio):
    handlers = Handlers(studio)
    assert handlers.library("toxic", "/").value == "toxic"
    assert handlers.library("gone", "/").value == "topic"


def test_a_shipped_set_fills_the_form_with_its_heldout_prompts_last(studio):
    filled = list(LearnHandlers(studio).load_set("smollm2-135m", "letters"))
    assert [filled.pop() for _ in OF_THE_SET] == [False, False, False]
    known = filled.pop()
    assert filled == ["Letters", "a\nb\nc\nd", "x\ny\nz\nw", 1, "Once upon a time"]
    assert known["boxes"] == filled[1:3]


def test_one_thing_fills_the_form_from_templates(studio):
    handlers = LearnHandlers(studio)
    title, source, target, held, painted, _, *suited = handlers.write_set(
        "emoji-world", "owl", "take a thing out"
    )
    assert (title, held, *suited) == ("Owl", 1, False, False, False)
    assert painted == source.splitlines()[-1]  # held out, with an owl to take out
    assert all("an owl" in line for line in source.splitlines())
    assert "owl" not in target
    _, source, target, *_ = handlers.write_set("smollm2-135m", "chess", "write about it")
    assert all("chess" in line.lower() for line in target.splitlines())
    assert "chess" not in source
    _, *suited = handlers.write_set("emoji-world", "pop art", "bring a style in")[5:]
    assert suited == [True, False, False]


@pytest.mark.parametrize("setting", OF_THE_SET)
def test_what_suits_a_set_is_not_for_a_budget_or_a_method_to_say(studio, setting):
    handlers, skipped = LearnHandlers(studio), gr.skip()
    assert dict(zip(SETTINGS, handlers.budget("normal"), strict=True))[setting] == skipped
    _, *updates = handlers.suit("lineas")
    assert "value" not in dict(zip(SETTINGS, updates, strict=True))[setting]


def test_an_aim_of_another_kind_of_model_is_refused(studio):
    with pytest.raises(gr.Error, match="nothing to aim at"):
        LearnHandlers(studio).write_set("smollm2-135m", "owl", "take a thing out")


@pytest.mark.parametrize(
    ("model", "stem", "paper", "preview"),
    [
        ("smollm2-135m", "letters", "paper (language)", "Once upon a time"),
        ("emoji-world", "robot", "paper (DMD2)", "A castle by a lake"),
    ],
)
def test_the_form_fits_the_kind_of_the_model(studio, model, stem, paper, preview):
    fit = partial(LearnHandlers(studio).fit, model)
    sets, aim, prompt, names, *settings = fit("A castle by a lake", "lineas", "thorough")
    assert aim.value == aim.choices[0][1]
    assert [value for _, value in sets.choices] == [stem]
    assert [value for _, value in names.choices] == ["quick", "normal", "thorough", paper]
    assert prompt == preview
    assert names.value == "thorough"  # and its settings stay as they are
    assert {str(each) for each in settings} == {str(gr.skip())}
    _, _, kept, *_ = fit("My own words", "lineas", "quick")
    assert not isinstance(kept, str)


def test_a_budget_of_another_kind_of_model_gives_way_with_its_settings(studio):
    *_, names, settings = _split(LearnHandlers(studio).fit("emoji-world", "", "lineas", "normal"))
    assert names.value == "normal"
    given = ("smollm2-135m", "", "lineas", "paper (DMD2)")
    *_, names, settings = _split(LearnHandlers(studio).fit(*given))
    assert names.value == "quick"
    assert dict(zip(SETTINGS, settings, strict=True))["learning_rate"] == 0.02


def _split(answers):
    return *answers[:4], answers[4:]


def test_a_counter_shows_problems_at_once(studio):
    counter = LearnHandlers(studio).count("tiny", "one\none\n\ntwo")
    assert "2 / 32" in counter
    assert "problem" in counter


def test_words_that_a_small_model_has_not_learnt_are_told_before_it_learns(studio):
    handlers = LearnHandlers(studio)
    assert "“lighthouse”" in handlers.count("tiny", "a lake\na lighthouse")
    assert "learnt" not in handlers.count("tiny", "a lake")


def _start(handlers, **changes):
    form = {
        "title": " Mine ",
        "model": "tiny",
        "method": "lineas",
        "source": "a\nb\nc\nd",
        "target": "x\ny\nz\nw",
        "heldout": 1,
        "preset": "",
        "preview_prompt": "",
        "known": None,
    }
    settings = dict(zip(SETTINGS, handlers.budget("quick"), strict=True))
    settings |= dict.fromkeys(OF_THE_SET, False)
    settings |= {name: changes.pop(name) for name in SETTINGS if name in changes}
    return handlers.start(*{**form, **changes}.values(), *settings.values())


def test_the_form_becomes_a_request(studio):
    menu = _start(LearnHandlers(studio))
    (request,) = studio.jobs.submitted
    assert menu.value == JOB.id
    assert request.title == "Mine"
    assert request.prompts.source == ("a", "b", "c")
    assert request.prompts.heldout_source == ("d",)
    assert request.preset is None
    assert request.config == LearnConfig()


def test_what_is_known_of_a_set_goes_along_until_a_box_is_changed(studio):
    handlers = LearnHandlers(studio)
    title, source, target, heldout, _, known, *_ = handlers.write_set(
        "smollm2-135m", "chess", "write about it"
    )
    form = {"title": title, "source": source, "target": target, "heldout": heldout}
    _start(handlers, **form, known=known)
    _start(handlers, **{**form, "source": f"{source}\nmore"}, known=known)
    same, changed = (request.prompts.keywords for request in studio.jobs.submitted)
    assert (same, changed) == (("chess",), ())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"source": "only one"}, "source"),
        ({"heldout": 3}, "0 to 2 possible"),
        ({"model": "gemma-3-270m"}, "Click Install"),
        ({"model": "owner/any"}, "Give one of smollm2-135m"),
        ({"source": ""}, "0 prompts found"),
        ({"target": "\udcff\nb"}, "target.txt, line 1"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"sparsity": math.inf}, "sparsity is inf"),
        ({"iterations": 10**9}, "from 1 to 100000"),
        ({"batch_size": -1}, "batch_size is -1"),
    ],
)
def test_a_form_that_cannot_work_is_refused_in_one_sentence(studio, changes, sentence):
    studio.models.missing = {"gemma-3-270m"}
    with pytest.raises(gr.Error, match=sentence):
        _start(LearnHandlers(studio), **changes)
    assert studio.jobs.submitted == []


def test_equal_sides_are_learnt_with_a_word_of_warning(studio):
    with pytest.warns(UserWarning, match="equal: the map will be the identity"):
        _start(LearnHandlers(studio), target="a\nb\nc\nd")
    assert len(studio.jobs.submitted) == 1


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.csv", b"", "nothing found"),
        ("one.csv", b"source,target\na,b\n", "1 prompt found"),
        ("binary.csv", b"\x89PNG\r\n\x1a\n\0\0", "binary"),
        ("columns.csv", b"before,after\na,b\nc,d\n", "column"),
        ("large.csv", b"source,target\n" + b"a" * 10_000_000, "larger than 1,000,000 bytes"),
        ("broken.json", b'{"source": ["a"', "line 1"),
        ("picture.png", b"a", "png"),
    ],
)
def test_an_upload_that_cannot_be_read_is_one_sentence(studio, tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(gr.Error, match=sentence) as caught:
        LearnHandlers(studio).read_set("tiny", str(tmp_path / name))
    assert "Internal error" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


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


def test_a_damaged_map_of_a_job_is_told_once(studio, tmp_path):
    (tmp_path / "lineas.safetensors").write_bytes(b"not one")
    studio.jobs.jobs = [replace(JOB, state="done", map_folder=tmp_path)]
    handlers = JobHandlers(studio)
    _, state, report, *_, seen = handlers.watch(None, "")
    assert "lineas.safetensors" in state or "is damaged" in state or tmp_path.name in state
    assert report == ""
    assert set(map(str, handlers.watch(JOB.id, seen))) == {str(gr.skip())}


def test_a_job_that_left_no_map_can_be_deleted(studio):
    studio.jobs.jobs = [replace(JOB, state="failed")]
    *_, try_it, delete, _, _, _, _ = JobHandlers(studio).watch(None, "")
    assert (try_it.visible, delete.visible) == (False, True)
    JobHandlers(studio).delete(JOB.id)
    assert studio.jobs.deleted == [JOB.id]


def test_a_job_that_hangs_says_what_to_do_and_offers_it(studio):
    studio.jobs.jobs = [replace(JOB, state="hung")]
    _, state, _, stop, resume, *_ = JobHandlers(studio).watch(None, "")
    assert "Stop ends the worker, then Resume goes on" in state
    assert (stop.visible, resume.visible) == (True, False)


def test_an_empty_list_of_jobs_names_the_next_step(studio):
    assert "press Start" in JobHandlers(studio).watch(None, "")[1]


def test_the_endpoint_refuses_an_unknown_budget(studio):
    with pytest.raises(gr.Error, match="quick, normal"):
        LearnHandlers(studio).learn("t", ["a", "b"], ["c", "d"], budget="huge")


def test_a_program_does_not_choose_what_this_machine_downloads(studio):
    with pytest.raises(gr.Error, match="model is 'owner/any'. Give one of smollm2-135m"):
        LearnHandlers(studio).learn("t", ["a", "b"], ["c", "d"], model="owner/any")
    assert studio.jobs.submitted == []


def test_half_a_character_in_a_title_does_not_break_the_list_of_jobs(studio):
    LearnHandlers(studio).learn("x\ud83e", ["a", "b"], ["c", "d"], model="tiny")
    assert [request.title for request in studio.jobs.submitted] == ["x?"]


def _records(*heldout):
    return [{"iteration": 10 * k, "loss": 1.0, "heldout": h} for k, h in enumerate(heldout)]


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (_records(1.0, 0.4), "1 before, 0.4 after (-60%)"),
        (_records(1.0, 0.9), "more iterations"),
        (_records(0.02, 0.015), "nearly alike"),
        (_records(1.0, 0.4, 0.5), "rises since iteration 10"),
        (_records(None, None), "Hold some prompts out"),
    ],
)
def test_the_report_says_what_to_do_next(records, words):
    assert words in " ".join(advice(records, MAPS))


def test_the_report_of_an_identity_says_so():
    assert any("lower γ" in line for line in advice(_records(1.0, 1.0), _identity()))


def _identity():
    return SteeringMaps({"a": AffineMap.identity(3)})


def test_pictures_show_every_module_and_escape_its_name():
    drawing = charts.modules(MAPS)
    assert drawing.count("<rect") == 3
    assert "<img" not in drawing


def test_a_strip_is_shown_for_every_quarter(tmp_path):
    file = tmp_path / "preview-0-at-+1.png"
    Image.new("RGB", (512, 512), "red").save(file)
    records = [{"iteration": k, "strengths": [0.0, 1.0], "pictures": [file] * 2} for k in (0, 4)]
    drawing = learn_html.strips(MARKUP, records)
    assert drawing.count("data:image/jpeg") == 4
    assert drawing.index("after 4 iterations") < drawing.index("after 0 iterations")
    assert "original" in drawing
    assert "<img src=x" not in drawing


def test_a_curve_needs_records():
    assert charts.curve([], 10) == ""
    assert 'class="heldout dot"' in charts.curve(RECORDS, 4)


def test_line_feeds_of_a_text_stay():
    assert "a\nb" in text_html.passage("Steered", "x ", Continuation(1.0, "a\nb"))


@pytest.mark.parametrize(
    "arguments",
    [["--host", "0.0.0.0"], ["--share"], ["--root-path", "/studio"], ["--auth", "name"]],
)
def test_a_public_page_without_a_login_does_not_start(arguments):
    command = [sys.executable, "app.py", *arguments]
    ended = subprocess.run(
        command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "user:password" in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--port", "99999"], "--port is 99999; give one from 1 to 65535."),
        (["--port", "{free}", "--data-dir", "{file}/data"], "give another --data-dir."),
    ],
)
def test_a_start_that_cannot_be_is_one_sentence(tmp_path, arguments, sentence):
    file = tmp_path / "file"
    file.touch()
    with socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
    command = [sys.executable, "app.py", *(a.format(free=free, file=file) for a in arguments)]
    ended = subprocess.run(
        command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].endswith(sentence)


def test_a_port_that_is_taken_is_one_sentence_and_touches_no_data(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        command = [sys.executable, "app.py", "--port", port, "--data-dir", str(tmp_path / "data")]
        ended = subprocess.run(
            command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False
        )
    assert ended.returncode == 2
    assert f"127.0.0.1:{port} cannot be used" in ended.stderr.splitlines()[-1]
    assert not (tmp_path / "data").exists()
