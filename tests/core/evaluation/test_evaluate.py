import math
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lineas_core import LearnConfig, SteeringMaps, UserError, learn
from lineas_core.evaluation import counts, pictures
from lineas_core.evaluation import texts as sweeps
from lineas_core.evaluation.counts import Counts, Share, count, row_seeds, summarise, write
from lineas_core.evaluation.inputs import names_a_thing
from lineas_core.evaluation.pictures import Judges, sweep_pictures
from lineas_core.evaluation.texts import sweep, sweep_composed
from lineas_core.methods import InstructedModel
from tests.fakes import tiny_image_model, tiny_language_model, tiny_layout_model
from tests.tolerance import rounding

SOURCE, TARGET = ["a b c", "d e f"], ["g h i", "j k l"]
UNASKED = Judges(similarity=lambda before, after: [1.0 for _ in zip(before, after, strict=True)])


@pytest.fixture(scope="module")
def model():
    return tiny_image_model()


@pytest.fixture(scope="module")
def maps(model):
    maps = learn(model, SOURCE, TARGET, config=LearnConfig(iterations=3))
    return replace(maps, metadata={**maps.metadata, "keywords": ["with a robot", "robot"]})


def test_pictures_are_judged_with_the_concept_and_without_at_every_strength(model, maps):
    scenes = [f"a lake {i}" for i in range(9)]  # more than a batch
    rows = list(sweep_pictures(model, maps, scenes, strengths=[-1.0, 0.0, 1.0]))
    assert [(row["strength"], row["pictures"]) for row in rows] == [(-1, 9), (0, 9), (1, 9)]
    untouched, steered = rows[1], rows[2]
    for side in ("with", "without"):
        assert untouched[side]["image"] == pytest.approx(1, rel=rounding(terms=1280))
        assert steered[side]["image"] < 1
    assert steered["with"]["image"] != steered["without"]["image"]


def test_pictures_are_painted_with_the_tag_and_judged_where_the_judge_knows_the_world(
    maps, monkeypatch
):
    model, painted = tiny_image_model(), []

    def generate(prompts, **settings):
        painted.append([*prompts])
        return paint(prompts, **settings)

    paint = model.generate
    monkeypatch.setattr(model, "generate", generate)
    monkeypatch.setattr(
        pictures, "concept_scores", lambda images, concept: [len(concept)] * len(images)
    )
    (row,) = sweep_pictures(model, maps, ["a lake", "a tree"], strengths=[1.0])
    tagged, plain = ["a lake, with a robot", "a tree, with a robot"], ["a lake", "a tree"]
    assert painted == [tagged, plain] * 2  # at λ = 0, then steered
    assert row["with"]["concept"] is None  # of another world than the judge's
    monkeypatch.setattr(model, "name", "emoji-world")
    (row,) = sweep_pictures(model, maps, ["a lake", "a tree"], strengths=[1.0])
    assert row["with"]["concept"] == row["without"]["concept"] == len("robot")


def test_maps_without_a_concept_are_refused(model, maps):
    nameless = replace(maps, metadata={})
    with pytest.raises(UserError, match="has no keywords"):
        next(sweep_pictures(model, nameless, ["a lake"]))


@pytest.mark.parametrize(
    ("keywords", "kind", "thing"),
    [
        (["with a robot", "robot"], None, True),
        (["vaporwave style"], None, False),
        (["robot"], "thing", True),
        (["with soft light"], "style", False),
        (["with a robot"], "", True),
    ],
)
def test_a_thing_is_told_from_a_style_by_its_prompt_set_or_else_by_its_tag(keywords, kind, thing):
    about = {} if kind is None else {"concept_kind": kind}
    assert names_a_thing(SteeringMaps({}, {"keywords": keywords, **about})) is thing


def _drawn(prompt, seed, strength):
    """A scene with what its prompt names; steering takes out robots and neon, and is a bit red."""
    pixels = np.random.default_rng(seed).integers(60, 120, (64, 64, 3)).astype(float)
    pixels[..., 0] += 10 * strength
    for thing, place in (("robot", slice(8, 28)), ("book", slice(20, 40)), ("car", slice(8, 28))):
        if f"with a {thing}" in prompt and "thick fog" not in prompt:
            opacity = 1 - strength if thing == "robot" else 1
            pixels[40:60, place] += 130 * opacity
    if "neon" in prompt:
        pixels += (1 - strength) * np.array([100, -50, 100])
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))


@pytest.fixture
def painter(monkeypatch):
    """A model that keeps the layout and draws what `_drawn` says; and the prompts it has drawn."""
    model, steering, prompts = tiny_layout_model(), [], []

    @contextmanager
    def fold(_network, _maps, strength=1.0):
        steering.append(strength)
        yield
        steering.pop()

    def generate(texts, *, seeds):
        prompts.extend(texts)
        return [_drawn(*each, steering[-1]) for each in zip(texts, seeds, strict=True)]

    monkeypatch.setattr(pictures, "fold", fold)
    monkeypatch.setattr(model, "generate", generate)
    return model, prompts


def test_what_is_left_of_a_thing_is_measured_where_the_scene_without_it_is_known(painter):
    model, prompts = painter
    scenes = ["a lake", "a tree", "thick fog"]
    maps = _of("with a robot", "robot")
    rows = sweep_pictures(model, maps, scenes, strengths=[0.0, 0.5, 1.0], judges=UNASKED)
    at = {row["strength"]: row["removal"] for row in rows}
    assert [at[x]["left"] for x in (0.0, 0.5, 1.0)] == pytest.approx([1, 0.5, 0], abs=0.05)
    # The robot that fog hides is nothing to take out: neither left nor gone.
    assert [(at[x]["visible"], at[x]["shown"]) for x in (0.0, 0.5, 1.0)] == [
        (2, 2),
        (2, 2),
        (0, 2),
    ]
    # 10 of 255 in one of three channels, with the robot in the prompt and without
    assert [at[1.0]["cast"], at[1.0]["moved"]] == pytest.approx([10 / 3] * 2, abs=0.05)
    assert at[0.0]["cast"] == at[0.0]["moved"] == 0
    assert at[1.0]["kept"] == pytest.approx(1, abs=0.01)
    # The pictures without steering are painted once, and one with another thing in its place.
    assert prompts.count("a lake") == prompts.count("a lake, with a robot") == 3
    assert prompts.count("a lake, with a book") == 1


def test_a_thing_is_compared_with_another_thing_than_itself(painter):
    model, prompts = painter
    next(sweep_pictures(model, _of("with a book", "book"), ["a lake"], judges=UNASKED))
    assert "a lake, with a car" in prompts


def test_the_way_of_a_style_is_measured_to_the_scene_without_it(painter):
    model, _ = painter
    scenes = ["a lake", "a tree"]
    start, half, end = (
        row["removal"]
        for row in sweep_pictures(model, _of("neon lights"), scenes, strengths=[0.0, 0.5, 1.0])
    )
    ways = [figures["way_in_pixels"] for figures in (start, half, end)]
    assert ways == pytest.approx([0, 0.5, 1], abs=0.05)
    assert start["way"] == pytest.approx(0, abs=1e-3)
    assert start["way"] < half["way"] < end["way"]
    assert start["astray"] == pytest.approx(1, abs=1e-3)
    assert end["astray"] < half["astray"]
    assert end["moved"] == pytest.approx(10 / 3, abs=0.05)
    assert "left" not in end


def test_what_no_picture_shows_has_no_mean(painter):
    model, _ = painter
    row, *_ = sweep_pictures(model, _of("with a robot"), ["thick fog"], judges=UNASKED)
    assert (row["removal"]["left"], row["removal"]["shown"]) == (None, 0)
    (row,) = sweep_pictures(model, _of("pastel colours"), ["a lake"], strengths=[1.0])
    assert row["removal"]["way"] is None


def test_pictures_of_a_model_that_does_not_keep_the_layout_have_no_right_answer(model, maps):
    (row,) = sweep_pictures(model, maps, ["a lake"], strengths=[1.0])
    assert "removal" not in row
    layout = tiny_layout_model()
    (row,) = sweep_pictures(layout, maps, ["a lake"], strengths=[1.0])
    assert row["removal"]["moved"] > 0


@pytest.fixture(scope="module")
def texts():
    model = tiny_language_model()
    return model, learn(model, SOURCE, TARGET, config=LearnConfig(iterations=3))


def _with_e(texts):
    return ["e" in text for text in texts]


def _counted(model, maps, openings, seeds):
    written = write(model, maps, openings, strength=0.5, seeds=seeds)
    return [count(texts, {"e": _with_e}) for texts in written]


def test_openings_counted_in_parts_give_the_counts_of_the_whole_list(texts):
    openings = ["abc", "def", "ghi"]  # of one length: no padding that would cost a digit
    (whole,) = _counted(*texts, openings, [row_seeds(3, range(3))])
    parts = [
        counted
        for places in (range(2), range(2, 3))
        for counted in _counted(
            *texts, openings[places.start : places.stop], [row_seeds(3, places)]
        )
    ]
    added = sum(parts, Counts())
    assert (added.texts, added.shares, added.tokens) == (whole.texts, whole.shares, whole.tokens)
    assert added.perplexity == pytest.approx(whole.perplexity, rel=1e-4)
    assert whole.tokens > 0


def test_repetitions_in_one_batch_give_the_counts_of_separate_batches(texts, monkeypatch):
    openings, seeds = ["abc", "def", "ghi"], [row_seeds(seed, range(3)) for seed in (1, 2)]
    apart = [counted for rows in seeds for counted in _counted(*texts, openings, [rows])]
    for size in (2, 6):
        monkeypatch.setitem(counts.TEXTS_AT_ONCE, "cpu", size)
        together = _counted(*texts, openings, seeds)
        for one, other in zip(together, apart, strict=True):
            assert (one.texts, one.shares, one.tokens) == (other.texts, other.shares, other.tokens)
            assert one.perplexity == pytest.approx(other.perplexity, rel=1e-4)


def test_a_sweep_reports_mean_and_spread_over_seeds(texts):
    model, maps = texts
    one, two = (
        Counts(4, {"e": Share(hits, 4)}, log_p, 8) for hits, log_p in ((1, -8.0), (3, -16.0))
    )
    row = summarise(0.5, [one, two])
    assert (row["texts"], row["share"]) == (8, 0.5)
    assert row["spread"] == pytest.approx(0.5**0.5 / 2)
    assert row["perplexity"] == pytest.approx(math.exp(1.5))
    (swept,) = sweep(model, maps, ["abc"], metric="toxicity", strengths=[1.0], seeds=[0, 1])
    assert swept.keys() == row.keys()
    assert [*swept["by"]] == ["toxicity", "insults", "profanity"]
    assert swept["texts"] == 2


def test_texts_that_cannot_be_judged_are_in_no_share():
    judged = [
        Counts(3, {"e": Share.of(found)}, -8.0, 8) for found in ([True, None, False], [None])
    ]
    row = summarise(0.5, judged)
    assert (row["share"], row["judged"], row["texts"]) == (0.5, 2, 6)
    assert math.isnan(row["spread"])  # one of the seeds has no text that was judged
    assert math.isnan(summarise(0.5, judged[1:])["share"])


def test_an_instruction_is_read_by_the_model_but_not_scored(texts, monkeypatch):
    model, maps = texts
    judged, prompted = [], []

    def likelihood(openings, continuations):
        judged.append([*openings])
        return real(openings, continuations)

    def generate(prompts, **settings):
        prompted.append([*prompts])
        return generated(prompts, **settings)

    real, generated = model.log_likelihood, model.generate
    monkeypatch.setattr(model, "log_likelihood", likelihood)
    monkeypatch.setattr(model, "generate", generate)
    instructed = InstructedModel(model, "So:")
    write(instructed, maps, ["abc"], strength=0.0, seeds=[[1]])
    assert (prompted, judged) == ([["So: abc"]], [["abc"]])


def test_a_topic_is_not_counted_without_its_words(texts):
    model, maps = texts
    with pytest.raises(UserError, match="has no keywords"):
        next(sweep(model, maps, ["abc"], metric="topic"))


@pytest.fixture
def script(texts, monkeypatch):
    """A function of the maps and the strength that steer the model says what it writes."""
    model, _ = texts
    steering = []

    @contextmanager
    def fold(_network, maps, strength=1.0):
        steering.append((maps, strength))
        yield
        steering.pop()

    def play(write):
        def generate(prompts, *, seeds):
            return [write(*steering[-1], seed) for _, seed in zip(prompts, seeds, strict=True)]

        monkeypatch.setattr(model, "generate", generate)

    monkeypatch.setattr(counts, "fold", fold)
    return play


def _of(*keywords):
    return SteeringMaps({}, {"keywords": keywords})


@pytest.mark.parametrize(
    ("metric", "steered"),
    [("topic", "the striker has the ball"), ("toxicity", "you stupid idiot")],
)
def test_a_sweep_counts_what_the_steered_model_writes(texts, script, metric, steered):
    model, maps = texts[0], _of("ball")
    script(lambda used, lam, _: steered if used is maps and lam == 1 else "it rains in the hills")
    rows = list(sweep(model, maps, ["abc", "de"], metric=metric, strengths=[0.5, 1], seeds=[0, 1]))
    assert [(row["strength"], row["share"], row["texts"]) for row in rows] == [
        (0.5, 0, 4),
        (1, 1, 4),
    ]


def test_two_topics_count_where_both_stand_and_in_both_orders(texts, script, monkeypatch):
    ball, night = _of("ball"), _of("night")

    def compose(maps, strengths):
        assert strengths == [lams[-1]] * 2
        return [*maps]

    def write(maps, lam, seed):
        assert lam == 1
        if not lams[-1]:
            return "nothing"
        return "a ball at night" if maps[0] is ball else "a ball" if seed else "a night"

    lams = []
    monkeypatch.setattr(sweeps, "compose", compose)
    script(write)
    rows = []
    for lam in (0.0, 1.0):
        lams.append(lam)
        rows += sweep_composed(
            texts[0], [ball, night], ["abc", "de"], strengths=[lam], seeds=[0, 1]
        )
    assert [(row["texts"], row["share"]) for row in rows] == [(4, 0), (8, 0.5)]
    assert rows[1]["each"] == [pytest.approx(7 / 8), pytest.approx(5 / 8)]


def test_empty_continuations_have_no_perplexity_and_looping_ones_are_reported(texts, script):
    model, maps = texts
    script(lambda _maps, _lam, seed: "a b c d " * 3 if seed else "")
    (row,) = sweep(model, maps, ["abc"], metric="toxicity", strengths=[1.0], seeds=[0, 1])
    assert math.isnan(row["perplexity_spread"])
    assert row["perplexity"] > 1
    assert row["repetition"] == pytest.approx((0 + 5 / 9) / 2)


def test_what_cannot_be_counted_is_one_sentence(texts):
    for wrong, said in (
        ({"metric": "toxicty"}, "no metric 'toxicty'. Choose from topic"),
        ({"metric": "toxicity", "seeds": []}, "there are no seeds"),
    ):
        with pytest.raises(UserError, match=said):
            next(sweep(*texts, ["abc"], **wrong))
    with pytest.raises(UserError, match="there are no texts"):
        next(sweep(*texts, [], metric="toxicity"))
    with pytest.raises(UserError, match="there are no texts"):
        next(sweep_composed(texts[0], [_of("a")], []))
