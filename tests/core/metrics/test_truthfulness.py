import json
import math
import sys
from contextlib import contextmanager

import pytest
import torch

from lineas_core import SteeringMaps, UserError
from lineas_core.metrics import truthfulness as metric
from lineas_core.metrics.truthfulness import Question, load_questions, truthfulness
from lineas_core.tables import truth
from lineas_core.tables.workbench import PROMPTS
from tests.fakes import tiny_language_model

ASKED = Question("b?", right=("c", "d"), wrong=("e", "f"))


class _Certain:
    """Gives each answer the probability it is told."""

    def __init__(self, **chances):
        self.chances = chances

    def log_likelihood(self, openings, answers):
        assert all(opening.endswith("Q: b?\nA:") for opening in openings)
        return torch.tensor([[math.log(self.chances[a.strip()]), 1.0] for a in answers])


def test_mc1_asks_whether_the_best_true_answer_wins_and_mc2_how_much_is_true():
    assert truthfulness(_Certain(c=0.4, d=0.1, e=0.3, f=0.2), [ASKED]) == pytest.approx((1, 0.5))
    assert truthfulness(_Certain(c=0.1, d=0.6, e=0.2, f=0.1), [ASKED]) == pytest.approx((0, 0.7))
    tiny = 1e-300  # whose product with anything is zero
    made = truthfulness(_Certain(c=3 * tiny, d=tiny, e=2 * tiny, f=2 * tiny), [ASKED])
    assert made == pytest.approx((1, 0.5))


def test_a_real_model_answers():
    mc1, mc2 = truthfulness(tiny_language_model(), [ASKED, ASKED])
    assert mc1 in (0, 1)
    assert 0 < mc2 < 1


def test_the_questions_that_come_with_the_project_can_be_read():
    questions = load_questions(PROMPTS / "questions" / "truths.json")
    assert len(questions) == 64
    assert len({question.text for question in questions}) == 64
    for question in questions:
        assert not set(question.right) & set(question.wrong)


@pytest.mark.parametrize(
    "content",
    [
        *("{", "[]", "[1]", '[{"question": "a"}]'),
        '[{"question": "a", "right": [], "wrong": ["b"]}]',
        '[{"question": "a", "right": "Paris", "wrong": ["Rome"]}]',
        '[{"question": "a", "right": ["b"], "wrong": [1]}]',
        '[{"question": 5, "right": ["b"], "wrong": ["c"]}]',
    ],
)
def test_questions_of_another_form_are_refused_with_the_form(tmp_path, content):
    file = tmp_path / "questions.json"
    file.write_text(content)
    with pytest.raises(UserError, match="could not be read") as refused:
        load_questions(file)
    assert "questions.json" in str(refused.value)
    assert '"right"' in refused.value.remedy


def test_without_datasets_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError) as refused:
        metric.truthfulqa()
    assert "pip install datasets" in refused.value.remedy


def test_the_best_true_answer_of_the_hub_comes_first():
    row = {
        "question": "a",
        "mc1_targets": {"choices": ["best", "x"], "labels": [1, 0]},
        "mc2_targets": {"choices": ["good", "best", "x", "y"], "labels": [1, 1, 0, 0]},
    }
    assert metric.question_from_hub(row) == Question("a", ("best", "good"), ("x", "y"))


def test_every_question_is_asked_once_a_seed_of_maps_that_did_not_learn_from_it():
    questions = [Question(str(k), ("a",), ("b",)) for k in range(10)]
    halves = truth.split_in_halves(questions, seed=1)
    assert sorted(int(q.text) for _, asked in halves for q in asked) == list(range(10))
    for learnt, asked in halves:
        assert not {q.text for q in learnt} & {q.text for q in asked}
    assert truth.split_in_halves(questions, seed=2) != halves


def test_a_table_asks_no_question_that_its_maps_have_learnt(monkeypatch):
    learnt, steered = [], []

    class Bench:
        def model(self, _name):
            return tiny_language_model()

        def maps(self, _model, prompts, **_settings):
            learnt.append("".join(prompts.source))
            return SteeringMaps({})

    def asked(_model, questions):
        assert questions
        assert not any(question.text in learnt[-1] for question in questions)
        return 0.5, steered[-1]

    @contextmanager
    def fold(_network, _maps, strength):
        steered.append(strength)
        yield

    monkeypatch.setattr(truth, "truthfulness", asked)
    monkeypatch.setattr(truth, "fold", fold)
    cell = next(c for c in truth.TABLES[0].cells("small") if c.key["method"] == "lineas")
    rows = cell.work(Bench())["rows"]
    assert len(learnt) == 4  # two halves, two seeds
    assert [(row["strength"], row["mc2"]) for row in rows] == [(0, 0), (0.5, 0.5), (1, 1)]


def test_a_row_has_the_mean_over_halves_and_the_spread_over_seeds():
    row = truth.mean_row(0.5, [(0.1, 0.3), (0.3, 0.5), (0.5, 0.5), (0.3, 0.7)])
    assert row["strength"] == 0.5
    assert row["mc1"] == pytest.approx(0.3)
    assert row["mc2"] == pytest.approx(0.5)
    assert row["mc1_spread"] == pytest.approx(math.sqrt(0.02))
    assert truth.format_row(row) == "30.0% ± 14.1% and 50.0% ± 14.1%"


def test_the_sides_differ_in_the_answer_alone():
    prompts = truth.answer_prompts(
        load_questions(PROMPTS / "questions" / "truths.json")[:4], "four"
    )
    for wrong, right in zip(prompts.source, prompts.target, strict=True):
        assert wrong.split("\nA:")[0] == right.split("\nA:")[0]
        assert wrong != right
    assert json.dumps(prompts.source[0]).startswith('"Q: What happens if you crack')
