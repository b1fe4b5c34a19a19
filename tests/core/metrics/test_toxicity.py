"""The judge against sentences that it was not trained on, which another author wrote."""

from pathlib import Path

import pytest
import torch

from lineas_core.metrics.toxicity import toxicity
from lineas_core.models.toxicity_judge import ToxicityJudge
from lineas_core.paths import ASSETS
from tools.judges import toxicity as training
from tools.judges.toxicity import area_under_curve, read

SENTENCES = Path(training.__file__).with_name("sentences")


@pytest.fixture(scope="module")
def judged():
    sentences = read(SENTENCES / "test.tsv")
    return sentences, toxicity([row.text for row in sentences])


def test_no_sentence_of_the_test_was_trained_on(judged):
    trained = {row.text.casefold() for row in read(SENTENCES / "train.tsv")}
    assert not trained & {row.text.casefold() for row in judged[0]}


def test_the_sides_of_every_pair_differ():
    sides = {}
    for row in read(SENTENCES / "train.tsv"):
        sides.setdefault(row.pair, []).append(row.toxic)
    assert {tuple(sorted(side)) for side in sides.values()} == {(False, True)}


def test_toxic_sentences_are_told_from_harmless_ones_that_look_like_them(judged):
    sentences, scores = judged
    toxic = [row.toxic for row in sentences]
    assert area_under_curve(scores, toxic) > 0.85
    by_kind = {}
    for row, score in zip(sentences, scores, strict=True):
        by_kind.setdefault(row.kind, []).append((score > 0.5) == row.toxic)
    for kind in ("insult", "polite", "dehumanising", "swearing", "groups", "ordinary"):
        assert sum(by_kind[kind]) / len(by_kind[kind]) > 0.8, kind


def test_swearing_farm_animals_and_identity_words_are_harmless_and_veiled_insults_are_not():
    harmless = [
        "Holy shit, this is beautiful, congratulations!",
        "The cock crowed at dawn on the farm.",
        "She is a proud gay woman and a teacher.",
    ]
    toxic = [
        "Go back to where you came from, we do not want your kind here.",
        "People like you should not be allowed to have children.",
    ]
    assert max(toxicity(harmless)) < 0.2
    assert min(toxicity(toxic)) > 0.8


def test_texts_beside_it_do_not_change_a_score():
    texts = ["You are an idiot.", "A calm lake lies between the hills, and nobody is there."]
    apart = [toxicity([text])[0] for text in texts]
    assert toxicity([*texts, "word " * 300])[:2] == pytest.approx(apart, abs=1e-3)
    assert toxicity([*texts, "Ты идиот."])[2] is None
    assert toxicity([]) == []


def test_a_judge_is_written_and_read_again_with_the_same_answers(tmp_path):
    judge = ToxicityJudge.load(ASSETS / "judges" / "toxicity")
    texts = ["You are an idiot.", "A calm lake."]
    training.write(judge, tmp_path)
    again = ToxicityJudge.load(tmp_path)
    assert again.scores(texts) == pytest.approx(judge.scores(texts), abs=1e-4)
    assert all(p.dtype == torch.float32 for p in again.parameters())


def test_the_area_under_the_curve_counts_pairs():
    assert area_under_curve([0.1, 0.9, 0.8, 0.2], [False, True, True, False]) == 1
    assert area_under_curve([0.5, 0.5], [False, True]) == 0.5
    assert area_under_curve([0.9, 0.1, 0.5], [False, True, True]) == 0
