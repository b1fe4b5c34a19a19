"""Doubles of what lies under the handlers: they write and paint at once, and remember."""
# ruff: noqa: ARG002 - the fakes take what the real ones take

import math
from contextlib import contextmanager, nullcontext
from copy import copy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import torch
from gradio.context import LocalContext
from PIL import Image

from app.jobs.job import Job, JobRequest
from app.studio.maps import MapEntry
from app.studio.picture_cache import Painted
from app.studio.signs import Signs
from app.studio.steps import Steps
from app.studio.studio import Studio
from app.studio.texts import Continuation
from lineas_core import AffineMap, LearnConfig, PromptSet, SteeringMaps, UserError
from lineas_core.evaluation.counterfactual import Concept
from lineas_core.evaluation.effect import Effect, goal_of
from lineas_core.models.catalog import MODELS
from lineas_core.pictures import Recipe

USUAL = (None, None, None)  # the boxes for steps, guidance and steered steps, left empty
ME = SimpleNamespace(session_hash="me")
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
    """Learns nothing, and remembers what it was asked to do."""

    def __init__(self):
        self.jobs, self.submitted, self.stopped, self.deleted = [], [], [], []

    def list(self):
        return self.jobs

    def submit(self, request, visitor=""):
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
    """Has every model but those in `missing`, and knows every word but a few."""

    def __init__(self):
        self.missing = set()

    def installed(self, model):
        return model not in self.missing

    def unconverted(self, model):  # noqa: ARG002
        return 0

    def use(self, model):
        self.require(model)
        return nullcontext(model)

    def require(self, model):
        if not self.installed(model):
            raise UserError("E_NOT_INSTALLED", "not on this machine", remedy="Click Install.")

    def catalog(self):
        return [*MODELS]

    def checked(self, model):
        if model not in ("tiny", *MODELS):
            raise UserError("E_MODEL", f"there is no model {model!r:.60}", remedy="Give another.")
        return model

    def chats(self, model):
        return model in MODELS and MODELS[model].chat

    def words(self, model):
        return {"subjects": ("robot", "church", "valley", MARKUP)}

    def cut_prompts(self, model, source, target=()):
        cut = sum(len(prompt) > 40 for prompt in (*source, *target))
        return [f"{cut} prompts are cut."] if cut else []

    def unknown_words(self, model, prompt):
        unknown = {"dodecahedron": "", "lighthouse": "house", MARKUP.split()[0]: ""}
        return {word: unknown[word] for word in prompt.split() if word in unknown}


class FakePrompts:
    """A few openings, scenes, sets and templates."""

    def openings(self, *, toxic):
        return ["You are", "You people"] if toxic else ["Once", "The man"]

    def scenes(self):
        return ["A valley", "A church"]

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
        return replace(prompts, kind="topic" if template == "about" else template).holdout(1)


class FakeTexts:
    """Writes the same words at every strength."""

    def __init__(self):
        self.closed, self.asked, self.rows = 0, None, []

    def continue_text(self, entry, prompt, strengths, *, seed, sampling, chat=False):
        try:
            for text in (" a", f" a goal {MARKUP}"):
                yield [Continuation(strength, text, 0.25, 0.25) for strength in strengths]
            yield [Continuation(strength, text, 0.25, 0.25, math.nan) for strength in strengths]
        finally:
            self.closed += 1

    def pairs(self, entry, prompts, strength, *, seeds, sampling, chat):
        self.asked, done = (entry.id, [*prompts], strength, [*seeds]), []
        for prompt in prompts:
            yield done
            rows = [(at, f" {prompt} {MARKUP}", 0.25, 0.25, math.nan) for at in (0.0, strength)]
            done = [*done, [Continuation(*row) for row in rows]]
            yield done

    def rates(self, entry, openings, *, words, seeds):
        self.asked = (entry.id, list(openings), list(words), seeds)
        yield from self.rows


class FakeChats:
    """Says the same words in every column, and remembers what it was asked."""

    def __init__(self):
        self.closed, self.asked, self.error = 0, [], None

    def answer(self, entry, turns, turn, stopped=lambda: False):
        self.asked.append((entry.id, [*turns], turn))
        try:
            yield turn
            for text in ("a", f"a goal {MARKUP}", f"a goal {MARKUP} and more"):
                if self.error:
                    raise self.error
                turn = _answered(turn, text=text, insults=0.1)
                yield turn
                if stopped():
                    break
            yield _answered(turn, toxicity=0.25, perplexity=9.0)
        finally:
            self.closed += 1


class FakePictures:
    """Paints grey pictures, the lighter the higher the strengths."""

    def __init__(self):
        self.kept, self.batches = set(), []
        self.steps, self.known = Steps(), {}

    def denoising(self, model):
        return self.known.get(model)

    def with_steps(self, steps):
        other = copy(self)
        other.steps = steps
        return other

    def painted(self, entries, prompt, strengths, *, seed=0):
        keys = {(self.steps, _key(entries, prompt, row, seed)) for row in strengths}
        return self.paint(entries, prompt, strengths, seed=seed) if keys <= self.kept else None

    def paint(self, entries, prompt, strengths, *, seed=0):
        self.batches.append([tuple(row) for row in strengths])
        self.kept |= {(self.steps, _key(entries, prompt, row, seed)) for row in strengths}
        return [_grey(entries, prompt, row, seed, self.steps) for row in strengths]

    def scores(self, entries, prompt, strengths, *, seed=0):
        if not self.painted(entries, prompt, strengths, seed=seed):
            return None
        return {"ImgScore": [1 - abs(sum(row)) / 4 for row in strengths]}

    def goal(self, entry, prompt, strength):
        if not entry.keywords:
            return None
        return goal_of(Concept(entry.keywords), prompt, more=entry.direction * strength > 0)

    def right_answer(self, entries, prompt, strengths, *, seed=0):
        goal = self.goal(entries[0], prompt, strengths[0])
        rows = [(0.0, *strengths[1:])]
        return goal and (goal, [self.paint(entries, p, rows, seed=seed)[0] for p in goal.prompts])

    def effects(self, entries, prompt, strengths, *, seed=0):
        if not self.painted(entries, prompt, strengths, seed=seed):
            return None
        goals = [self.goal(entries[0], prompt, row[0]) for row in strengths]
        return [
            Effect(abs(row[0]) / 10, row[0], abs(row[0]) / 20)
            if goal
            else Effect(abs(row[0]) / 10)
            for goal, row in zip(goals, strengths, strict=True)
        ]


class FakeStudio(Studio):
    """A studio without folders: what is looked up is looked up among `entries`."""

    def __init__(self, entries):
        self.entries, self.read_only = entries, False
        self.jobs, self.models, self.prompts = FakeJobs(), FakeModels(), FakePrompts()
        self.texts, self.pictures = FakeTexts(), FakePictures()
        self.chats, self.learning = FakeChats(), set()
        self.user_maps = SimpleNamespace(is_learning=lambda entry: entry.id in self.learning)

    def maps(self):
        return self.entries

    def opens_on(self):
        return "text-to-image"

    def entry(self, map_id, kind=None):
        found = [e for e in self.entries if e.id == map_id and kind in (None, e.kind)]
        if not found:
            raise UserError("E_MAP", "there is no such map", remedy="Choose one from the list.")
        return found[0]

    def steering(self, entry):
        return MAPS


def text_studio():
    """A studio with a map of a topic and one of toxicity."""
    folder = Path("unused")
    return FakeStudio(
        [
            MapEntry("topic", MARKUP, "tiny", "ready-made", folder, {"keywords": ["goal"]}),
            MapEntry("toxic", "Toxicity", "tiny", "yours", folder, {}, signs=Signs(harmful=-1)),
        ]
    )


def image_studio():
    """A studio with two maps for pictures and one for texts."""
    folder, kind, tagged = Path("unused"), "text-to-image", {"keywords": ["with a robot"]}
    return FakeStudio(
        [
            MapEntry("topic", "Topic", "tiny", "ready-made", folder, {}),
            MapEntry("robot", MARKUP, "small", "ready-made", folder, tagged, kind=kind),
            MapEntry("mine", "Mine", "small", "yours", folder, {}, kind=kind),
        ]
    )


@contextmanager
def requested(request=ME):
    """Handlers that are called inside answer a request, as those of a page do."""
    token = LocalContext.request.set(request)
    try:
        yield
    finally:
        LocalContext.request.reset(token)


def is_skip(value):
    """Whether an answer leaves its component as it is."""
    return isinstance(value, dict) and value == {"__type__": "update"}


def _answered(turn, **changes):
    answers = {column: replace(answer, **changes) for column, answer in turn.answers.items()}
    return replace(turn, answers=answers)


def _key(entries, prompt, row, seed):
    applied = [(entry.id, each) for entry, each in zip(entries, row, strict=True) if each]
    return (*(entry.model for entry in entries[:1]), *applied, prompt, seed)


def _grey(entries, prompt, row, seed, steps):
    maps = [*zip([entry.id for entry in entries], row, strict=True)]
    identities = [entry.identity for entry in entries]
    recipe = Recipe(prompt, seed, "small", 8, "LCMScheduler", maps, *steps, identities)
    image = Image.new("L", (8, 8), round(100 + 100 * sum(row)))
    return Painted(image, recipe, truncated=len(prompt) > 40)
