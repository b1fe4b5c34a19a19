"""The command line and the code in the README learn with the same settings at the same layers."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import lineas_core
from lineas_core import BUDGETS, LearnConfig, PromptSet, SteeringMaps, UserError, cli, suited
from lineas_core.cli import learning
from lineas_core.learning.suited import suited_settings
from lineas_core.methods import METHODS, Method
from lineas_core.paths import PROMPTS
from tests.fakes import tiny_language_model, tiny_layout_model

README = Path(__file__).parents[2] / "README.md"
MODELS = {"smollm2-135m": "", "gemma-3-270m": "", "emoji-world": "images"}
SETS = [(model, f) for model, folder in MODELS.items() for f in (PROMPTS / folder).glob("*.json")]
CHOSEN = ("quick", "normal", "paper (language)")


class _Asked(Exception):
    """Ends a command before it learns."""


@pytest.fixture(scope="module")
def models():
    models = {name: tiny_language_model() for name in MODELS}
    models["emoji-world"] = tiny_layout_model()
    for name, model in models.items():
        model.name = name
    return models


@pytest.fixture
def asked(models, monkeypatch):
    """What the methods are called with, instead of being learnt."""

    def learn(*arguments, **settings):
        found.append((*arguments, settings))
        return SteeringMaps({"a": lineas_core.AffineMap.identity(2)})

    found = []
    monkeypatch.setattr(learning, "load_model", lambda name, **_: models[name])
    monkeypatch.setattr(lineas_core, "load_model", models.get)
    monkeypatch.setattr(lineas_core, "learn", learn)
    monkeypatch.setattr("lineas_core.cli.runs.learn_iter", learn)
    own = Method("caa", "CAA: a method.", learn, METHODS["caa"].config)
    monkeypatch.setitem(METHODS, "caa", own)
    return found


def _command(*arguments):
    return CliRunner().invoke(cli.app, ["learn", *map(str, arguments)])


@pytest.mark.parametrize(("model", "file"), SETS, ids=lambda v: getattr(v, "stem", v))
def test_the_command_learns_what_suits_model_and_set(models, asked, tmp_path, model, file):
    data = PromptSet.load(file)
    for budget in CHOSEN:
        _command(file, tmp_path / "map", "--model", model, "--budget", budget)
        (*sides, settings) = asked.pop()
        assert sides == [models[model], data.source, data.target]
        assert settings.pop("resume") is None
        assert settings == suited(models[model], data, budget)


def test_the_code_in_the_readme_learns_what_the_command_learns(asked, tmp_path, monkeypatch):
    code = next(
        code
        for code in re.findall("```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
        if "learn(" in code
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts").symlink_to(PROMPTS)
    exec(compile(code.partition("save_maps(maps")[0], "README.md", "exec"), {})
    (from_code,) = asked
    _command("prompts/football.json", "football", "--model", "smollm2-135m")
    *from_command, settings = asked.pop()
    del settings["resume"]
    assert (*from_command, settings) == from_code
    assert settings["modules"] == "late-attention-output"
    assert settings["config"].optimizer == "sgd"


@pytest.mark.parametrize(
    ("options", "modules"),
    [
        ([], "late-attention-output"),
        (["--method", "caa"], "late-attention-output"),
        (["--modules", "attention-output"], "attention-output"),
        (["--budget", "paper (language)"], None),
    ],
)
def test_a_budget_of_the_paper_keeps_the_default_layers(asked, tmp_path, options, modules):
    _command(PROMPTS / "football.json", tmp_path, "--model", "smollm2-135m", *options)
    assert asked.pop()[-1]["modules"] == modules


def test_a_model_that_is_not_loaded_gets_the_same_settings(models):
    for (model, file), budget in zip(SETS, [*BUDGETS] * len(SETS), strict=False):
        data = PromptSet.load(file)
        found = suited(models[model], data, budget)
        assert suited_settings(model, data.kind, budget) == (
            found["config"],
            found["modules"] or "",
        )
    given = suited_settings("smollm2-135m", "topic", modules="all-layernorms")
    assert given == (replace(LearnConfig()), "all-layernorms")


def test_an_unknown_budget_is_one_sentence(models):
    data = PromptSet(("a", "b"), ("c", "d"))
    with pytest.raises(UserError, match="budget is 'endless'. Give one of quick, normal"):
        suited(models["smollm2-135m"], data, "endless")
