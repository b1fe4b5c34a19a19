import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lineas_core import cli, load_maps
from lineas_core.pictures import read_recipe
from tests.fakes import save_model, tiny_language_model
from tests.pipelines import model_of

STEPS = ("--num-inference-steps", 3, "--guidance-scale", 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    sides = {"source": ["a b", "c d", "k l"], "target": ["e f", "g h", "i j"]}
    (folder / "set.json").write_text(json.dumps(sides))
    save_model(model_of("sd"), folder / "sd")
    save_model(tiny_language_model(), folder / "texts")
    return folder


def _run(*arguments):
    return CliRunner().invoke(cli.app, [str(a) for a in arguments])


def test_a_map_is_learnt_at_a_step_and_painted_in_other_numbers_of_them(folder):
    learnt = _run(
        "learn", folder / "set.json", folder / "map", "--model", folder / "sd",
        "--iterations", 1, *STEPS, "--denoising-step", "2,0",
    )  # fmt: skip
    assert learnt.exit_code == 0
    facts = load_maps(folder / "map").metadata["denoising"]
    assert (facts["num_inference_steps"], facts["guidance_scale"]) == (3, 2)
    assert facts["learn_at"] == [2, 0]
    made = _run(
        "generate", "a b", "--map", folder / "map", "--strengths", "0,1", *STEPS, "--json",
        "--output-dir", folder,
    )  # fmt: skip
    assert made.exit_code == 0
    recipe = read_recipe(Path(json.loads(made.stdout)["file"]))
    assert (recipe.num_inference_steps, recipe.guidance_scale) == (3, 2)
    assert recipe.identities == [("", load_maps(folder / "map").metadata["sha256"])]
    assert "Steps: 3" in recipe.parameters
    assert "CFG scale: 2" in recipe.parameters


def test_maps_act_at_a_range_of_steps_which_the_recipe_keeps(folder):
    made = _run(
        "generate", "a b", "--model", folder / "sd", "--steer-steps", "1-2", *STEPS, "--json",
        "--output-dir", folder,
    )  # fmt: skip
    recipe = read_recipe(Path(json.loads(made.stdout)["file"]))
    assert recipe.steer_at == [1, 2]
    assert recipe.parameters.endswith("LinEAS steps: 1-2")
    refused = _run("generate", "a b", "--model", folder / "sd", "--steer-steps", "1-3", *STEPS)
    assert "Give a first and a last step up to 2." in str(refused.exception)
    refused = _run("generate", "a b", "--model", folder / "sd", "--steer-steps", "early")
    assert "'early' is neither a step nor a range of steps" in refused.stderr


def test_a_step_that_is_no_number_is_one_sentence(folder):
    refused = _run("learn", folder / "set.json", folder / "map", "--denoising-step", "first")
    assert refused.exit_code == 2
    assert "'first' is not a list of whole numbers" in refused.stderr


def test_a_model_that_writes_texts_takes_no_denoising_steps(folder):
    refused = _run("generate", "a", "--model", folder / "texts", *STEPS)
    assert "writes texts, which take no denoising steps" in str(refused.exception)
