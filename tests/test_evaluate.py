import math
from dataclasses import replace

import pytest
from fakes import tiny_image_model, tiny_language_model

from lineas_core import LearnConfig, UserError, evaluate, learn
from lineas_core.evaluate import Tally, count, figures, row_seeds, sweep, sweep_pictures

SOURCE, TARGET = ["a b c", "d e f"], ["g h i", "j k l"]


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
        assert untouched[side]["image"] == pytest.approx(1, abs=1e-5)
        assert steered[side]["image"] < 1
    assert steered["with"]["image"] != steered["without"]["image"]


def test_maps_without_a_concept_are_refused(model, maps):
    nameless = replace(maps, metadata={})
    with pytest.raises(UserError, match="tells no keywords"):
        next(sweep_pictures(model, nameless, ["a lake"]))


@pytest.fixture(scope="module")
def texts():
    model = tiny_language_model()
    return model, learn(model, SOURCE, TARGET, config=LearnConfig(iterations=3))


def _with_e(texts):
    return ["e" in text for text in texts]


def test_openings_that_are_counted_in_parts_have_the_luck_of_the_whole_list(texts):
    openings = ["abc", "def", "ghi"]  # of one length: no padding that would cost a digit
    (whole,) = count(*texts, openings, _with_e, strength=0.5, luck=[row_seeds(3, range(3))])
    parts = [
        tally
        for places in (range(2), range(2, 3))
        for tally in count(
            *texts,
            openings[places.start : places.stop],
            _with_e,
            strength=0.5,
            luck=[row_seeds(3, places)],
        )
    ]
    added = sum(parts, Tally())
    assert (added.texts, added.hits, added.tokens) == (whole.texts, whole.hits, whole.tokens)
    assert added.perplexity == pytest.approx(whole.perplexity, rel=1e-4)
    assert whole.tokens > 0


def test_repetitions_that_are_written_together_are_those_written_apart(texts, monkeypatch):
    openings, luck = ["abc", "def", "ghi"], [row_seeds(seed, range(3)) for seed in (1, 2)]
    apart = [
        tally
        for rows in luck
        for tally in count(*texts, openings, _with_e, strength=0.5, luck=[rows])
    ]
    for size in (2, 6):
        monkeypatch.setattr(evaluate, "_TEXTS_AT_ONCE", (size, size))
        together = count(*texts, openings, _with_e, strength=0.5, luck=luck)
        for one, other in zip(together, apart, strict=True):
            assert (one.texts, one.hits, one.tokens) == (other.texts, other.hits, other.tokens)
            assert one.perplexity == pytest.approx(other.perplexity, rel=1e-4)


def test_a_sweep_tells_mean_and_spread_over_seeds(texts):
    model, maps = texts
    one, two = (Tally(4, hits, log_p, 8) for hits, log_p in ((1, -8.0), (3, -16.0)))
    row = figures(0.5, [one, two])
    assert (row["texts"], row["share"]) == (8, 0.5)
    assert row["spread"] == pytest.approx(0.5**0.5 / 2)
    assert row["perplexity"] == pytest.approx(math.exp(1.5))
    (swept,) = sweep(model, maps, ["abc"], metric="toxicity", strengths=[1.0], seeds=[0, 1])
    assert swept.keys() == row.keys()
    assert swept["texts"] == 2


def test_what_an_instruction_makes_is_judged_as_if_nothing_had_been_said(texts, monkeypatch):
    model, maps = texts
    judged, told = [], []

    def likelihood(openings, continuations):
        judged.append([*openings])
        return real(openings, continuations)

    def generate(prompts, **settings):
        told.append([*prompts])
        return write(prompts, **settings)

    real, write = model.log_likelihood, model.generate
    monkeypatch.setattr(model, "log_likelihood", likelihood)
    monkeypatch.setattr(model, "generate", generate)
    count(*texts, ["abc"], _with_e, strength=0.0, luck=[[1]], instruction="So:")
    assert (told, judged) == ([["So: abc"]], [["abc"]])


def test_a_topic_is_not_counted_without_its_words(texts):
    model, maps = texts
    with pytest.raises(UserError, match="tells no keywords"):
        next(sweep(model, maps, ["abc"], metric="topic"))
