import json
import random
import sys

import pytest
import torch

from lineas_core import AffineMap, SteeringMaps, UserError, steer
from lineas_core.metrics.harness import TRUTHFULQA, harness
from lineas_core.models import hub
from tests.fakes import tiny_language_model

CHOICES = ["A", "B", "C", "D"]
pytestmark = pytest.mark.extra


@pytest.fixture(scope="module")
def model():
    return tiny_language_model()


@pytest.fixture(scope="module")
def maps(model):
    draw = torch.Generator().manual_seed(0)
    width = model.network.config.hidden_size
    return SteeringMaps(
        {
            name: AffineMap(
                1 + torch.randn(width, generator=draw), torch.randn(width, generator=draw)
            )
            for name in model.default_modules
        }
    )


@pytest.fixture(scope="module")
def questions(model):
    """The answers are those of the untouched model without examples: all of it is right."""
    draw = random.Random(0)
    words = ["sea", "fire", "leaf", "night", "stone"]
    texts = [" ".join(draw.choices(words, k=5)) for _ in range(40)]
    return [{"question": text, "answer": _choice(model, _prompt(text))} for text in texts]


@pytest.fixture
def task(tmp_path, questions, monkeypatch):
    """A task of the harness with questions of its own, and no hub."""
    pytest.importorskip("lm_eval")
    import datasets

    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    file = tmp_path / "questions.json"
    file.write_text("\n".join(map(json.dumps, questions)))
    return {
        "task": "letters",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(file), "dev": str(file)}},
        "test_split": "test",
        "fewshot_split": "dev",
        "fewshot_config": {"sampler": "first_n"},
        "output_type": "multiple_choice",
        "doc_to_text": "Q: {{question}}?\nA:",
        "doc_to_choice": CHOICES,
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc"}],
    }


def _prompt(question, answer=None):
    return f"Q: {question}?\nA:" + ("" if answer is None else f" {CHOICES[answer]}\n\n")


def _choice(model, opening):
    rows = model.log_likelihood([opening] * len(CHOICES), [f" {choice}" for choice in CHOICES])
    return rows[:, 0].argmax().item()


def _accuracy(model, questions, shots=0):
    """By hand: how often the likeliest choice after the examples is right."""
    examples = "".join(_prompt(**row) for row in questions[:shots])
    right = [
        _choice(model, examples + _prompt(row["question"])) == row["answer"] for row in questions
    ]
    return sum(right) / len(right)


@pytest.mark.parametrize(("strength", "shots"), [(1.0, 0), (-0.5, 0), (1.0, 2)])
def test_accuracy_is_that_of_the_steered_model(model, maps, task, questions, strength, shots):
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    drawn = torch.get_rng_state()
    values = harness(model, maps, strength, [task], few_shot=shots)
    with steer(model.network, maps, strength):
        expected = _accuracy(model, questions, shots)
    assert values == {"letters/acc": pytest.approx(expected)}
    assert expected < 0.9  # of the untouched model's 1.0
    assert torch.equal(torch.get_rng_state(), drawn)
    after = model.network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_at_strength_zero_the_model_is_measured_as_it_is(model, maps, task):
    assert harness(model, maps, 0.0, [task], few_shot=0) == {"letters/acc": 1.0}


def test_limit_takes_the_first_questions(model, maps, task, questions):
    values = harness(model, maps, 1.0, [task], few_shot=0, limit=7)
    with steer(model.network, maps, 1.0):
        assert values["letters/acc"] == pytest.approx(_accuracy(model, questions[:7]))


def test_a_task_that_does_not_exist_is_told_with_the_closest(model, maps):
    pytest.importorskip("lm_eval")
    with pytest.raises(UserError, match="no task 'mmlo'. The closest are mmlu"):
        harness(model, maps, tasks=["mmlo"])


def test_questions_that_are_not_to_be_had_are_one_sentence(model, maps, monkeypatch, tmp_path):
    datasets = pytest.importorskip("datasets")
    pytest.importorskip("lm_eval")
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(UserError, match="truthfulqa_mc1, truthfulqa_mc2: the questions could not"):
        harness(model, maps, tasks=TRUTHFULQA)


def test_without_the_package_one_sentence_says_what_to_install(model, maps, monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(UserError, match='Run `pip install "lm-eval>='):
        harness(model, maps)
