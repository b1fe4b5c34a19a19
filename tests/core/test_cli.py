import io
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from lineas_core import AffineMap, LearnConfig, PromptSet, SteeringMaps, UserError, cli
from lineas_core.cli import arguments as arguments_module
from lineas_core.cli import generation, learning, runs
from lineas_core.cli.formats import format_row, json_line
from lineas_core.evaluation.texts import sweep
from lineas_core.methods import METHODS, Method
from lineas_core.methods.oracle import OracleConfig
from lineas_core.models.catalog import MODELS
from lineas_core.pictures import strip
from lineas_core.storage.maps import load_maps, save_maps
from tests.fakes import (
    ask_for_a_petabyte,
    save_model,
    tiny_chat_model,
    tiny_image_model,
    tiny_language_model,
)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    rows = {"source": ["a b c", "b c d", "c d e"], "target": ["h g f", "g f e", "f e d"]}
    held = {f"heldout_{side}": ["d e f", "e f g"] for side in rows}
    (folder / "set.json").write_text(json.dumps({**rows, **held, "keywords": ["a"]}))
    (folder / "openings.txt").write_text("hello\nworld\n")
    save_model(tiny_language_model(), folder / "model")
    return folder


def _run(*arguments):
    return CliRunner().invoke(cli.app, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def learnt(workplace):
    result = _run(
        "learn", workplace / "set.json", workplace / "map",
        "--model", workplace / "model", "--iterations", 3,
    )  # fmt: skip
    assert result.exit_code == 0
    assert result.stdout.strip() == str(workplace / "map")
    return workplace / "map"


def test_learning_writes_a_map_that_info_describes(learnt):
    assert load_maps(learnt).metadata["iteration"] == 3
    facts = json.loads(_run("info", learnt).stdout)
    assert facts["source_size"] == 3
    assert facts["support"] > 0
    assert facts["title"] == "set"


def test_generating_takes_the_map_s_model_and_strength(learnt):
    plain = json.loads(_run("generate", "hello", "--map", f"{learnt}:0", "--json").stdout)
    again = json.loads(_run("generate", "hello", "--map", f"{learnt}:0", "--json").stdout)
    assert plain["text"] == again["text"]
    assert _run("generate", "hello", "--map", learnt).exit_code == 0


def test_strengths_give_one_text_each_from_one_batch(learnt):
    single = json.loads(_run("generate", "hello", "--map", f"{learnt}:0", "--json").stdout)
    result = _run("generate", "hello", "--map", learnt, "--strengths=-1,0,1", "--json")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["factor"] for row in rows] == [-1, 0, 1]
    assert rows[1]["text"] == single["text"]


def test_a_result_is_labelled_with_the_strengths_that_acted(learnt):
    given = ["--map", f"{learnt}:0.8", "--map", f"{learnt}:-0.5", "--max-new-tokens", 1]
    rows = _run("generate", "hello", *given, "--strengths=0,0.001,1", "--json").stdout
    acted = [(row["factor"], row["strengths"]) for row in map(json.loads, rows.splitlines())]
    assert acted == [(0, [0, 0]), (0.001, [0.0008, -0.0005]), (1, [0.8, -0.5])]
    told = _run("generate", "hello", *given, "--strengths=0,0.001,1").stdout
    for label in ("λ +0, +0  hello", "λ +0.0008, -0.0005  hello", "λ +0.8, -0.5  hello"):
        assert label in told
    alone = json.loads(_run("generate", "hello", *given, "--json").stdout)
    assert (alone["strengths"], "factor" in alone) == ([0.8, -0.5], False)


@pytest.mark.parametrize(("method", "strength"), [("lin-act", 1.0), ("iti-c", 0.5)])
def test_other_methods_learn_by_name_and_are_applied_at_their_own_strength(
    workplace, method, strength
):
    folder = workplace / method
    result = _run(
        "learn", workplace / "set.json", folder, "--model", workplace / "model",
        "--method", method, "--micro-batch-size", 2,
    )  # fmt: skip
    assert result.exit_code == 0
    facts = json.loads(_run("info", folder).stdout)
    assert facts["method"] == method
    assert facts["config"]["micro_batch_size"] == 2
    assert {"heldout", "heldout_start"} <= facts.keys()
    assert "Iterations" not in (folder / "README.md").read_text()
    given = json.loads(_run("generate", "hello", "--map", f"{folder}:{strength}", "--json").stdout)
    own = json.loads(_run("generate", "hello", "--map", folder, "--json").stdout)
    assert own["text"] == given["text"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--method", "magic"],
        ["--budget", "endless"],
        ["--method", "caa", "--iterations", 3],
        ["--method", "caa", "--budget", "normal"],
        ["--method", "caa", "--both-ways"],
        ["--method", "caa", "--no-shift-only"],
        ["--method", "caa", "--iterations", 0],
        ["--method", "lin-act", "--support", 0.5],
        ["--method", "lin-act", "--seed", 5],
        ["--method", "reft", "--checkpoint", "state"],
    ],
)
def test_methods_and_budgets_that_do_not_fit_are_refused(workplace, arguments):
    result = _run("learn", workplace / "set.json", workplace / "none", *arguments)
    assert result.exit_code == 2
    assert not (workplace / "none").exists()


def test_an_option_of_another_method_is_named(workplace):
    options = ["--method", "lin-act", "--support", 0.5, "--no-both-ways"]
    result = _run("learn", workplace / "set.json", workplace / "none", *options)
    assert "lin-act takes no --both-ways, --support" in " ".join(result.stderr.split())


def test_the_seed_reaches_every_method_that_has_one(workplace):
    for method in ("lineas", "reft"):
        folder = workplace / f"seeded-{method}"
        result = _run(
            "learn", workplace / "set.json", folder, "--model", workplace / "model",
            "--method", method, "--seed", 5, *(["--iterations", 1] if method == "lineas" else []),
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        assert load_maps(folder).metadata["config"]["seed"] == 5


def test_a_method_with_checkpoints_of_its_own_gets_a_folder_of_this_very_run(workplace):
    def learn(*_, checkpoints, **__):
        checkpoints.mkdir(parents=True)
        folders.append(checkpoints)
        return SteeringMaps({})

    folders, data = [], PromptSet(("a", "b"), ("c", "d"))
    for seed in (1, 2):
        method = Method("own", "Own: a method.", learn, OracleConfig(seed=seed), checkpoints=True)
        learner = runs.Learner(method, tiny_language_model(), data, method.config, None)
        learner.learn(workplace / "states")
    assert len({*folders}) == 2
    assert {folder.parent for folder in folders} == {workplace / "states"}
    assert not any(folder.exists() for folder in folders)


def test_the_plan_takes_the_batch_that_suits_the_model():
    options = ["--model", "emoji-world", "--plan"]
    for given, told in ((), 8), (("--batch-size", 4), 4), (("--method", "lin-act"), 64):
        result = _run("learn", "prompts/images/car.json", "map", *options, *given)
        assert f"1 GPU: {told} prompts at a time" in result.stdout


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--chat", "--temperature", 0], "which take no --temperature, --chat"),
        (["--max-new-tokens", 5], "which take no --max-new-tokens"),
    ],
)
def test_options_for_texts_are_refused_with_a_map_for_pictures(painted, tmp_path, options, told):
    result = _run("generate", "a", "--map", painted, "--output-dir", tmp_path, *options)
    assert told in str(result.exception)
    assert [*tmp_path.iterdir()] == []
    result = _run("sweep", painted, "prompts/neutral-images.txt", "--seeds", 2)
    assert "which take no --seeds" in str(result.exception)


def test_a_folder_for_pictures_is_refused_with_a_map_for_texts(learnt, tmp_path):
    result = _run("generate", "a", "--map", learnt, "--output-dir", tmp_path)
    assert "writes texts, which are printed" in str(result.exception)


@pytest.mark.parametrize("method", ["lineas", "caa"])
def test_few_coordinates_are_steered(workplace, method):
    folder = workplace / f"few-{method}"
    options = ["--iterations", 2] if method == "lineas" else []
    result = _run(
        "learn", workplace / "set.json", folder, "--method", method, "--support", 0.1, *options
    )
    assert result.exit_code == 0
    maps = load_maps(folder)
    assert maps.metadata["config"]["support"] == 0.1
    assert 0 < maps.support <= 0.11


@pytest.fixture(scope="module")
def painted(workplace):
    """A map learnt on an image model, by way of the command line."""
    save_model(tiny_image_model(), workplace / "pipeline")
    result = _run(
        "learn", workplace / "set.json", workplace / "look", "--model", workplace / "pipeline",
        "--iterations", 2, "--modules", "resnet-norms", "--micro-batch-size", 2,
    )  # fmt: skip
    assert result.exit_code == 0
    return workplace / "look"


def test_image_models_learn_the_modules_that_were_asked_for(painted):
    maps = load_maps(painted)
    assert maps.metadata["iteration"] == 2
    assert all(".resnets." in name for name in maps)


@pytest.mark.usefixtures("painted")
@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("style", [], (True, False, False)),
        ("manner", [], (False, True, True)),
        ("thing", [], (False, False, False)),
        ("thing", ["--identity-loss"], (False, True, False)),
        ("style", ["--no-both-ways"], (False, False, False)),
        ("manner", ["--no-identity-loss", "--no-shift-only"], (False, False, False)),
    ],
)
def test_what_suits_the_kind_of_set_is_learnt_unless_told_otherwise(
    workplace, tmp_path, kind, options, expected
):
    prompts = json.loads((workplace / "set.json").read_text()) | {"kind": kind}
    (tmp_path / "look.json").write_text(json.dumps(prompts))
    result = _run(
        "learn", tmp_path / "look.json", tmp_path / "map", "--model", workplace / "pipeline",
        "--iterations", 1, "--modules", "resnet-norms", *options,
    )  # fmt: skip
    assert result.exit_code == 0
    made = load_maps(tmp_path / "map").metadata["config"]
    assert (made["both_ways"], made["identity_loss"], made["shift_only"]) == expected
    assert PromptSet.load(tmp_path / "map" / "prompts.json").kind == kind


@pytest.mark.parametrize(
    ("options", "late", "optimizer"),
    [
        ([], True, "sgd"),
        (["--method", "caa"], True, None),
        (["--modules", "attention-output"], False, "adam"),
    ],
)
def test_a_topic_is_learnt_at_the_layers_that_suit_it_unless_others_are_given(
    workplace, tmp_path, monkeypatch, options, late, optimizer
):
    monkeypatch.setitem(MODELS, str(workplace / "model"), MODELS["smollm2-135m"])
    monkeypatch.setattr(learning, "load_model", lambda *_, **__: tiny_language_model())
    prompts = json.loads((workplace / "set.json").read_text()) | {"kind": "topic"}
    (tmp_path / "topic.json").write_text(json.dumps(prompts))
    iterations = [] if "--method" in options else ["--iterations", 1]
    result = _run(
        "learn", tmp_path / "topic.json", tmp_path / "map", "--model", workplace / "model",
        *iterations, *options,
    )  # fmt: skip
    assert result.exit_code == 0
    maps = load_maps(tmp_path / "map")
    assert any("layers.0." in name for name in maps) == (not late)
    assert maps.metadata["config"].get("optimizer") == optimizer


def test_pictures_are_written_with_their_recipe(painted, tmp_path):
    result = _run(
        "generate", "A b!", "c d", "--map", f"{painted}:0.5", "--seed", 3,
        "--output-dir", tmp_path,
    )  # fmt: skip
    assert result.exit_code == 0
    names = ["a-b-seed3.png", "c-d-seed3.png"]
    assert result.stdout.split() == [str(tmp_path / name) for name in names]
    with Image.open(tmp_path / names[0]) as image:
        assert image.size == (64, 64)
        assert image.text["parameters"].endswith('LinEAS: "set: 0.5"')


def test_strengths_give_one_strip_labelled_with_those_that_acted(painted, tmp_path, monkeypatch):
    labels = []
    monkeypatch.setattr(
        generation, "strip", lambda images, told: labels.extend(told) or strip(images, told)
    )
    result = _run(
        "generate", "a b", "--map", f"{painted}:0.5", "--strengths=-1,0,1",
        "--output-dir", tmp_path, "--json",
    )  # fmt: skip
    row = json.loads(result.stdout)
    assert (row["factors"], row["strengths"]) == ([-1, 0, 1], [[-0.5, 0, 0.5]])
    assert labels == ["-0.5", "original", "+0.5"]
    with Image.open(row["file"]) as image:
        assert image.width > 3 * 64
        assert json.loads(image.text["lineas"])["maps"] == [["set", [-0.5, 0, 0.5]]]


def test_a_map_of_norms_is_exported_with_its_inverse(painted, tmp_path):
    result = _run("export", painted, "--output-dir", tmp_path)
    assert result.exit_code == 0
    names = ["look.safetensors", "look-inverse.safetensors"]
    assert result.stdout.split() == [str(tmp_path / name) for name in names]
    assert "A1111 would skip norms" in result.stderr  # one residual layer in each block
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(names)


@pytest.mark.parametrize("options", [[], ["--to", "lycoris"], ["--strength", 1]])
def test_what_no_lycoris_file_can_hold_is_refused_before_a_model_is_loaded(
    learnt, options, tmp_path, monkeypatch
):
    monkeypatch.setattr(arguments_module, "load_model", no_model)
    refused = _run("export", learnt, *options, "--output-dir", tmp_path)
    assert "are not norms of a UNet" in str(refused.exception)
    assert "--to checkpoint" in str(refused.exception)
    assert not list(tmp_path.iterdir())


def test_maps_are_exported_as_the_weights_of_their_model(learnt, tmp_path):
    result = _run(
        "export", learnt, "--to", "checkpoint", "--strength", 0.8, "--map", f"{learnt}:0.5",
        "--output-dir", tmp_path,
    )  # fmt: skip
    assert result.exit_code == 0
    folder = tmp_path / "map-0.8-map-0.5"
    assert result.stdout.strip() == str(folder)
    assert "largest error" in result.stderr
    wanted = json.loads(
        _run("generate", "hello", "--map", f"{learnt}:0.8", "--map", f"{learnt}:0.5",
             "--json", "--temperature", 0).stdout
    )  # fmt: skip
    baked = _run("generate", "hello", "--model", folder, "--json", "--temperature", 0)
    assert json.loads(baked.stdout)["text"] == wanted["text"]
    again = _run("export", learnt, "--to", "checkpoint", "--output-dir", tmp_path)
    assert again.stdout.strip() == str(tmp_path / "map-1")
    assert "a folder of this name exists" in str(
        _run("export", learnt, "--to", "checkpoint", "--output-dir", tmp_path).exception
    )


def test_an_export_has_the_names_of_the_folders(learnt, tmp_path, monkeypatch):
    save_maps(load_maps(learnt), tmp_path / "night:v2")
    monkeypatch.chdir(tmp_path / "night:v2")
    (tmp_path / "night:v2-0.5-night:v2-0.25").mkdir()
    options = ["--strength", 0.5, "--to", "checkpoint", "--output-dir", tmp_path]
    monkeypatch.setattr(
        arguments_module, "load_model", no_model
    )  # the folder is looked for before
    for further in (
        (".", "--strength", 0.25),
        (f"{tmp_path}/night:v2", "--strength", 0.25),
        (f"{tmp_path}/night:v2:0.25",),
    ):
        result = _run("export", ".", *options, "--map", *further)
        assert "a folder of this name exists" in str(result.exception)


def no_model(name, **_):
    raise AssertionError(f"{name} was loaded")


def test_a_map_for_pictures_is_exported_as_a_unet(painted, tmp_path):
    result = _run("export", painted, "--to", "diffusers", "--output-dir", tmp_path)
    assert result.exit_code == 0
    assert (tmp_path / "look-1" / "diffusion_pytorch_model.safetensors").is_file()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--to", "onnx"], "choose from lycoris, checkpoint, diffusers"),
        (["--to", "diffusers"], "is written with --to checkpoint"),
        (["--to", "checkpoint", "--strength", 1, "--strength", 1], "2 came for 1 map, give one"),
        (["--to", "checkpoint", "--strength", 1, "--map", "a"], "1 came for 2 maps, give one"),
        (["--to", "checkpoint", "--strength", 1, "--strength", 1, "--map", "a/b:0.5"],
         "2 came for 1 map (a --map with :STRENGTH has its own), give one for each"),
    ],
)  # fmt: skip
def test_export_says_which_options_do_not_fit(learnt, options, sentence, tmp_path):
    result = _run("export", learnt, *options, "--output-dir", tmp_path)
    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.replace("│", " ").split())
    assert not list(tmp_path.iterdir())


def test_a_lycoris_file_holds_a_map_at_every_strength(painted, tmp_path):
    result = _run("export", painted, "--strength", 1, "--output-dir", tmp_path)
    assert result.exit_code == 2
    told = " ".join(result.stderr.replace("│", " ").split())
    assert "the program that loads them sets its strength" in told


def test_gguf_is_refused_with_the_way_there(learnt, tmp_path):
    refused = _run("export", learnt, "--to", "gguf", "--output-dir", tmp_path).exception
    assert str(refused) == (
        "there is no export to GGUF. Export --to checkpoint, and convert the folder with "
        "convert_hf_to_gguf.py of llama.cpp."
    )


def test_the_help_says_what_an_option_does_by_default():
    told = " ".join(_run("learn", "--help").stdout.split())
    assert "Number of iterations [default: that of the budget]." in told


def test_an_overlong_prompt_is_painted_with_a_warning(painted, tmp_path):
    result = _run("generate", "a" * 40, "--map", painted, "--output-dir", tmp_path)
    assert result.exit_code == 0
    assert "was truncated" in result.stderr


def test_a_sweep_prints_one_row_per_strength(learnt, workplace):
    result = _run(
        "sweep", learnt, workplace / "openings.txt",
        "--strengths=-1,0,1", "--seeds", 2, "--json",
    )  # fmt: skip
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["strength"] for row in rows] == [-1, 0, 1]
    assert all(row["texts"] == 4 and 0 <= row["share"] <= 1 for row in rows)


def _ends_after(monkeypatch, iteration, error=KeyboardInterrupt):
    """Let every run end after an iteration with an error."""

    def ending(*arguments, **settings):
        for iterate in learn_iter(*arguments, **settings):
            yield iterate
            if iterate.iteration == iteration:
                raise error

    learn_iter = runs.learn_iter
    monkeypatch.setattr(runs, "learn_iter", ending)


FAILURE = UserError("E_DIVERGED", "the run diverged", remedy="Start again.")


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, 130), (FAILURE, 1)])
def test_a_run_that_ends_early_saves_the_best_so_far_and_says_how_to_go_on(
    workplace, tmp_path, monkeypatch, error, status
):
    _ends_after(monkeypatch, 2, error)
    result = _run(
        "learn", workplace / "set.json", tmp_path / "partial", "--model", workplace / "model"
    )
    assert result.exit_code == status
    iteration = load_maps(tmp_path / "partial").metadata["iteration"]
    assert 0 < iteration <= 2
    assert result.stdout == f"{tmp_path / 'partial'}\n"
    assert result.stderr.endswith(
        f"The best maps so far, of iteration {iteration}, are saved in {tmp_path / 'partial'}; "
        "start anew, with --overwrite and --checkpoint FILE to be able to continue.\n"
    )
    assert ("error: the run diverged. Start again.\n" in result.stderr) == (status == 1)


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, 130), (FAILURE, 1)])
def test_a_run_that_ends_before_any_progress_saves_no_identity(
    workplace, tmp_path, monkeypatch, error, status
):
    _ends_after(monkeypatch, 0, error)
    result = _run(
        "learn", workplace / "set.json", tmp_path / "map", "--model", workplace / "model"
    )
    assert result.exit_code == status
    assert [*(tmp_path / "map").iterdir()] == []
    assert "No map is saved, because none is better yet than the unsteered model;" in result.stderr


@pytest.mark.parametrize("options", [[], ["--checkpoint", "state"]])
def test_a_map_is_replaced_on_request_only(workplace, learnt, tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "state").write_text("")  # left by another run
    monkeypatch.setattr(learning, "load_model", no_model)
    refused = _run("learn", workplace / "set.json", learnt, *options)
    assert str(refused.exception) == (
        f"{learnt}: the folder holds a map. Give another folder, or --overwrite to replace the "
        "map; an interrupted run continues with the --checkpoint that it was started with."
    )


def test_a_partial_map_never_takes_the_place_of_a_finished_one(
    workplace, learnt, tmp_path, monkeypatch
):
    shutil.copytree(learnt, tmp_path / "map")
    command = (
        "learn", workplace / "set.json", tmp_path / "map", "--model", workplace / "model",
        "--overwrite", "--checkpoint", tmp_path / "state",
    )  # fmt: skip
    with monkeypatch.context() as patch:
        _ends_after(patch, 2)
        result = _run(*command, "--iterations", 4)
    assert result.exit_code == 130
    assert load_maps(tmp_path / "map").metadata["iteration"] == 3  # as learnt
    assert f"The finished map in {tmp_path / 'map'} stays, and the best maps" in result.stderr
    assert result.stderr.endswith("are not saved; the same command continues.\n")
    assert _run(*command, "--iterations", 4).exit_code == 0
    assert load_maps(tmp_path / "map").metadata["iteration"] == 4


def test_a_run_that_a_scheduler_ends_saves_the_best_so_far(workplace, tmp_path):
    command = ["-m", "lineas_core", "learn", workplace / "set.json", tmp_path / "map"]
    run = subprocess.Popen(
        [sys.executable, *command, "--model", workplace / "model", "--iterations", "100000"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = (line.split() for line in run.stderr)
    assert any("loss" in words and int(words[0]) >= 20 for words in lines)  # 0 has no map yet
    run.terminate()
    out, _ = run.communicate()
    assert (run.returncode, out.split()) == (130, [str(tmp_path / "map")])
    assert load_maps(tmp_path / "map").metadata["method"] == "lineas"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_while_the_map_is_saved_costs_no_map(workplace, tmp_path, monkeypatch, number):
    def stopped(*arguments, **settings):
        os.kill(os.getpid(), number)
        return save_maps(*arguments, **settings)

    before = signal.getsignal(number)
    monkeypatch.setattr(learning, "save_maps", stopped)
    command = ("learn", workplace / "set.json", tmp_path / "map", "--iterations", 1)
    assert _run(*command, "--model", workplace / "model").exit_code == 0
    assert load_maps(tmp_path / "map").metadata["iteration"] == 1
    assert signal.getsignal(number) is before


def test_learning_replaces_a_map_that_a_kill_has_hidden_and_keeps_what_is_beside_it(
    learnt, workplace, tmp_path
):
    hidden = shutil.copytree(learnt, tmp_path / ".map.replaced")
    (hidden / "notes.txt").write_text("mine")
    command = ("learn", workplace / "set.json", tmp_path / "map", "--iterations", 1)
    refused = _run(*command, "--model", workplace / "model")
    assert "the folder holds a map" in str(refused.exception)
    assert _run(*command, "--model", workplace / "model", "--overwrite").exit_code == 0
    assert load_maps(tmp_path / "map").metadata["iteration"] == 1
    assert (tmp_path / "map" / "notes.txt").read_text() == "mine"
    assert not hidden.exists()


def test_the_same_command_continues_from_its_checkpoint(workplace, monkeypatch):
    def interrupted(*arguments, **settings):
        started.append(settings["resume"] and int(settings["resume"]["iteration"]))
        for iterate in learn_iter(*arguments, **settings):
            yield iterate
            if len(started) == 1 and iterate.iteration == 2:
                raise KeyboardInterrupt

    learn_iter, started = runs.learn_iter, []
    monkeypatch.setattr(runs, "learn_iter", interrupted)
    file = workplace / "run.safetensors"
    command = (
        "learn", workplace / "set.json", workplace / "continued", "--checkpoint", file,
        "--model", workplace / "model", "--iterations", 4,
    )  # fmt: skip
    assert _run(*command).exit_code == 130
    other = _run(*command, "--seed", 1)
    assert "belongs to a run with other prompts or settings" in str(other.exception)
    assert _run(*command).exit_code == 0
    assert started == [None, 2]
    assert load_maps(workplace / "continued").metadata["iteration"] == 4
    assert not file.exists()


@pytest.mark.parametrize("chat", [False, True])
def test_a_run_on_turns_of_a_chat_does_not_continue_one_on_texts_nor_the_reverse(
    workplace, tmp_path, monkeypatch, chat
):
    def interrupted(*arguments, **settings):
        yield next(learn_iter(*arguments, **settings))
        raise KeyboardInterrupt

    learn_iter = runs.learn_iter
    monkeypatch.setattr(runs, "learn_iter", interrupted)
    model, data = tiny_chat_model(), PromptSet.load(workplace / "set.json")
    models = [model, model.as_chat()]
    first, second = (
        runs.Learner(METHODS["lineas"], each, data, LearnConfig(iterations=2), None)
        for each in (models[::-1] if chat else models)
    )
    file = tmp_path / "run.safetensors"
    with runs.stoppable():
        assert first.learn(file)[1] == 130
        with pytest.raises(UserError, match="belongs to a run with other prompts or settings"):
            second.learn(file)
        assert first.learn(file)[1] == 130


@pytest.fixture
def console(monkeypatch):
    """Run the command line as on a console of an encoding; returns status, stdout and stderr."""

    def run(encoding, *arguments):
        streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
        monkeypatch.setattr("sys.argv", ["lineas_core", *map(str, arguments)])
        monkeypatch.setattr("sys.stdout", streams[0])
        monkeypatch.setattr("sys.stderr", streams[1])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        for stream in streams:
            stream.flush()
        written = [stream.buffer.getvalue().decode(encoding) for stream in streams]
        return caught.value.code or 0, *written

    return run


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "utf-8"])
def test_a_console_that_lacks_a_character_shows_its_number(learnt, console, encoding):
    strengths = ("--map", learnt, "--strengths=0,1", "--max-new-tokens", 2)
    status, written, _ = console(encoding, "generate", "日本 “λ”", *strengths)
    assert status == 0
    assert ("λ +1  " in written) == (encoding == "utf-8")
    assert ("\\u03bb +1  " in written) == (encoding != "utf-8")
    status, written, _ = console(encoding, "generate", "日本 🦊", *strengths, "--json")
    assert status == 0
    assert {json.loads(line)["prompt"] for line in written.splitlines()} == {"日本 🦊"}
    status, _, written = console(encoding, "info", "Schloß “λ”")
    assert (status, written.startswith("error: there is no map 'Schlo")) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["generate", "a", "--steer-steps", "early"],
         "Invalid value for --steer-steps: 'early' is neither a step nor a range of steps"),
        (["generate", "a", "--model", "dmd2-4-steps", "--steer-steps", "5-9"],
         "--steer-steps is 5-9 for dmd2-4-steps. Give a first and a last step up to 3."),
        (["generate", "a", "--model", "dmd2-4-steps", "--num-inference-steps", 3],
         "--num-inference-steps is 3 for dmd2-4-steps. Give 4, which it was trained for."),
        (["generate", "a", "--model", "owner/any", "--steer-steps", "2-1"],
         "--steer-steps is 2-1 for owner/any. Give a first"),
        (["generate", "a", "--steer-steps", "0"], "smollm2-135m writes texts, which take no"),
        (["generate", "a", "--output-dir", "b"], "smollm2-135m writes texts, which are printed"),
        (["generate", "a", "--model", "dmd2", "--chat"], "which take no --chat"),
        (["generate", "a", "--max-new-tokens", 0], "--max-new-tokens is 0. Give a whole number"),
        (["chat", "--temperature", 11], "--temperature is 11.0. Give a number from 0 to 10."),
        (["learn", "SET", "OUT", "--model", "dmd2", "--denoising-step", "3"],
         "--denoising-step is 3 for dmd2. Give different steps from 0 to 0."),
        (["learn", "SET", "OUT", "--model", "sdxl-turbo", "--denoising-step", "a"],
         "'a' is not a list of whole numbers"),
        (["learn", "SET", "OUT", "--method", "caa", "--model", "dmd2-4-steps",
          "--denoising-step", "0,1"], "caa takes one step"),
        (["learn", "SET", "OUT", "--method", "reft", "--model", "dmd2"],
         "ReFT steers language models, dmd2 is text-to-image"),
        (["learn", "SET", "OUT", "--compare", "foo"],
         "--compare is 'foo'. Give activations or output."),
        (["learn", "SET", "OUT", "--compare", "output"], "output is for pictures"),
        (["learn", "SET", "OUT", "--iterations", 0], "--iterations is 0. Give a whole number"),
        (["learn", "SET", "OUT", "--modules", "("], "'(' is not a regular expression"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_named_before_a_model_is_loaded(
    workplace, tmp_path, console, monkeypatch, arguments, sentence
):
    for module in (arguments_module, generation, learning):
        monkeypatch.setattr(module, "load_model", no_model)
    monkeypatch.chdir(tmp_path)
    known = {"SET": workplace / "set.json", "OUT": tmp_path / "map"}
    status, _, told = console("utf-8", *(known.get(each, each) for each in arguments))
    assert status == 2
    assert sentence in " ".join(told.replace("│", " ").split())
    assert not (tmp_path / "map").exists()


def test_ready_made_maps_and_models_are_listed(console):
    maps = [json.loads(line) for line in _run("maps", "--json").stdout.splitlines()]
    assert {
        "name": "football-smollm2-135m",
        "title": "Football",
        "model": "smollm2-135m",
        "kind": "language",
    } in maps
    lines = _run("maps").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [row["name"] for row in maps]
    models = [json.loads(line) for line in _run("models", "--json").stdout.splitlines()]
    assert [row["name"] for row in models] == [*MODELS]
    assert next(row["installed"] for row in models if row["name"] == "emoji-world")
    lines = _run("models").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [*MODELS]
    assert re.fullmatch(r"lineas .*\n", console("utf-8", "--version")[1])


@pytest.mark.parametrize("strength", ["", ":0.8"])
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("football", "football-gemma-3-270m, football-smollm2-135m"),
        ("Football-SmolLM2-135M", "football-smollm2-135m"),
        ("vaporwve", "vaporwave-emoji-world"),
    ],
)
def test_a_wrong_name_of_a_map_is_told_with_those_that_may_be_meant(name, meant, strength):
    refused = _run("generate", "a", "--map", f"{name}{strength}").exception
    assert str(refused) == f"there is no map {name!r}. Did you mean {meant}?"
    refused = _run("generate", "a", "--map", f"nosuch{strength}").exception
    assert str(refused).startswith("there is no map 'nosuch'. Give a folder, OWNER/NAME of the")


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "a \udcff b"],
        ["info", "m\udce4p"],
        ["learn", "s\udcff.json", "out"],
        ["fetch", "\udcff"],
        ["generate", "a", "--map", "m\udce4p:0.5"],
    ],
)
def test_an_argument_that_is_no_text_is_one_sentence(console, encoding, arguments):
    status, _, written = console(encoding, *arguments)
    assert status == 2
    assert re.fullmatch(
        r"error: the argument '.*\\udc.*' is not a text\. Write it .*\.\n", written
    )


@pytest.mark.parametrize("place", ["a:b", "C:", "x:0.5", "λ:1:2"])
@pytest.mark.parametrize("strength", ["", ":0", ":-0.5", ":1e-1"])
def test_the_path_of_a_map_may_have_colons(learnt, tmp_path, monkeypatch, place, strength):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(learnt, tmp_path / place / "map")
    shutil.copytree(learnt, tmp_path / f"{place}map")
    for path in (f"{place}/map", f"{place}map", str(tmp_path / place / "map")):
        result = _run("generate", "a", "--map", f"{path}{strength}", "--max-new-tokens", 1)
        assert result.exit_code == 0, result.output


def test_a_drive_letter_is_no_folder(learnt, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = r"C:\maps\robot"  # on this system a file name like any other
    shutil.copytree(learnt, tmp_path / name)
    for text in (name, f"{name}:0.8"):
        assert _run("generate", "a", "--map", text, "--max-new-tokens", 1).exit_code == 0
    for text in (r"D:\maps\robot", r"D:\maps\robot:0.8"):
        missing = _run("generate", "a", "--map", text)
        assert r"D:\maps\robot: " in str(missing.exception)
        assert "0.8" not in str(missing.exception)


@pytest.mark.parametrize(
    ("strength", "sentence"), [("abc", "'abc' is not a number"), ("", "'' is not a number")]
)
def test_a_strength_that_is_no_number_is_named(learnt, strength, sentence):
    result = _run("generate", "a", "--map", f"{learnt}:{strength}")
    assert result.exit_code == 2
    assert sentence in " ".join(result.output.split())


@pytest.mark.parametrize("strength", ["nan", "inf", "-inf", "1e999"])
def test_a_strength_that_is_not_finite_is_refused(learnt, strength):
    result = _run("generate", "a", "--map", f"{learnt}:{strength}")
    assert isinstance(result.exception, UserError)
    result = _run("generate", "a", "--map", learnt, f"--strengths={strength}")
    assert isinstance(result.exception, UserError)


@pytest.mark.parametrize("strength", ["5", "-1.01", "nan"])
def test_a_strength_beyond_one_is_refused_by_every_command(learnt, workplace, tmp_path, strength):
    openings, sentence = workplace / "openings.txt", f"strength is {strength}. Give a number from"
    for command in (
        ("generate", "a", "--map", f"{learnt}:{strength}"),
        ("generate", "a", "--map", learnt, f"--strengths=0,{strength}"),
        ("chat", "--map", f"{learnt}:{strength}"),
        ("sweep", learnt, openings, f"--strengths=0,{strength}"),
        ("export", learnt, "--to", "checkpoint", "--strength", strength),
        ("export", learnt, "--to", "checkpoint", "--map", f"{learnt}:{strength}"),
    ):
        options = ("--output-dir", tmp_path) if command[0] == "export" else ()
        assert sentence in str(_run(*command, *options).exception), command


def test_strengths_multiply_those_of_a_map_up_to_one(learnt):
    command = ("generate", "a", "--map", f"{learnt}:0.5", "--max-new-tokens", 1)
    assert _run(*command, "--strengths=-2,2").exit_code == 0
    assert "strength is 1.5" in str(_run(*command, "--strengths=3").exception)


def test_a_map_with_implausible_values_steers_with_a_note(learnt, tmp_path):
    maps = load_maps(learnt)
    steps = {name: AffineMap(step.scale * 1e3, step.shift) for name, step in maps.items()}
    save_maps(SteeringMaps(steps, maps.metadata), tmp_path / "odd")
    result = _run("generate", "a", "--map", tmp_path / "odd", "--max-new-tokens", 1)
    assert result.exit_code == 0
    assert "values that no learnt map has" in result.stderr
    assert "note" not in _run("generate", "a", "--map", learnt, "--max-new-tokens", 1).stderr


def test_learning_from_one_side_advises_what_the_command_takes(workplace, tmp_path):
    for name, advice in (("openings.txt", "or two files"), ("openings.xyz", "csv, tsv, json")):
        shutil.copy(workplace / "openings.txt", tmp_path / name)
        result = _run("learn", tmp_path / name, tmp_path / "out")
        assert advice in str(result.exception)
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["learn", "missing.json", "out"], 1),
        (["info", "x" * 5_000], 1),
        (["generate", "a", "--map", "x" * 5_000 + ":1"], 1),
        (["info", "missing"], 1),
        (["fetch", "no-such-model"], 1),
        (["generate", "hello", "--model", "no-such-model"], 1),
        (["generate", "hello", "--map", "missing:abc"], 1),
        (["learn"], 2),
        (["generate", "hello", "--strengths=0,1"], 2),
        (["generate", "hello", "--map", "missing", "--strengths=a"], 2),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(arguments, code, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["lineas_core", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == code
    assert "Traceback" not in capsys.readouterr().err


def test_a_model_that_does_not_fit_into_memory_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["lineas_core", "generate", "hello"])
    monkeypatch.setattr(generation, "load_model", ask_for_a_petabyte)
    with pytest.raises(SystemExit):
        cli.main()
    assert re.match("error: .*memory", capsys.readouterr().err)


def test_only_the_strength_tells_rows_of_an_evaluation_apart(learnt):
    model = tiny_language_model()
    rows = sweep(model, load_maps(learnt), ["hello"], metric="toxicity", strengths=[0.0, 0.0])
    first, second = rows
    assert first == second


def test_a_place_that_cannot_hold_a_map_is_refused_before_the_work(workplace):
    result = _run("learn", workplace / "set.json", workplace / "set.json", "--model", "none")
    assert result.exit_code == 2
    assert "cannot create the folder for the map" in result.stderr
    result = _run(
        "learn", workplace / "set.json", workplace / "set.json" / "map", "--model", "none"
    )
    assert "cannot create the folder for the map" in result.stderr


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "no such file"), (b"\xff\x00\xfe", "looks binary"), (b" \n", "there are no texts")],
)
def test_openings_that_cannot_be_read_are_one_sentence(learnt, tmp_path, content, sentence):
    if content is not None:
        (tmp_path / "openings.txt").write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        CliRunner().invoke(
            cli.app, ["sweep", str(learnt), str(tmp_path / "openings.txt")], catch_exceptions=False
        )


def test_a_map_without_a_model_is_one_sentence(workplace, tmp_path):
    save_maps(SteeringMaps({"a": AffineMap.identity(3)}), tmp_path / "nameless")
    arguments = ["sweep", str(tmp_path / "nameless"), str(workplace / "openings.txt")]
    with pytest.raises(UserError, match="the map does not state which model"):
        CliRunner().invoke(cli.app, arguments, catch_exceptions=False)


def test_what_there_is_to_know_about_a_set_is_told_before_it_is_learnt_from(workplace):
    same = workplace / "same.json"
    same.write_text(json.dumps({"source": ["a b", "c d", "c d"], "target": ["a b", "c d"]}))
    result = _run("learn", same, workplace / "same", "--model", workplace / "no-such-model")
    assert "note: source: 1 duplicate dropped" in result.stderr
    assert "note: source and target are equal: the map will be the identity" in result.stderr


def test_sides_that_the_network_does_not_tell_apart_are_told_at_the_start(workplace, tmp_path):
    sides = {"source": ["a b", "c d"], "target": ["c d", "a b"]}
    (tmp_path / "same.json").write_text(json.dumps(sides))
    result = _run(
        "learn", tmp_path / "same.json", tmp_path / "map",
        "--model", workplace / "model", "--iterations", 2,
    )  # fmt: skip
    assert result.exit_code == 0
    assert "note: The loss is 0 before the first iteration" in result.stderr


@pytest.mark.usefixtures("painted")
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--batch-size", 2], "(line 2). --matched takes them as pairs.\n"),
        ([], "(line 2).\n"),  # every iteration takes all lines
        (["--matched"], ""),
        (["--no-matched"], ""),
        (["--method", "mean-act"], "(line 2).\n"),
    ],
)
def test_one_pair_that_differs_by_more_than_added_words_is_told(
    workplace, tmp_path, options, told
):
    sides = {"source": ["a b x", "c d x", "e f x"], "target": ["a b", "c g", "e f"]}
    (tmp_path / "set.json").write_text(json.dumps(sides))
    iterations = [] if "--method" in options else ["--iterations", 1]
    result = _run(
        "learn", tmp_path / "set.json", tmp_path / "map", "--model", workplace / "pipeline",
        *iterations, *options,
    )  # fmt: skip
    assert result.exit_code == 0
    assert ("note: The sides are not matched. Maps for" in result.stderr) == bool(told)
    assert f"More than added words differ in 1 of 3 pairs {told}" in result.stderr or not told


def test_matched_files_stay_matched_where_a_line_is_dropped(workplace, tmp_path):
    (tmp_path / "with.txt").write_text("a x\nb x\na x\nc x\nd x\n")
    (tmp_path / "without.txt").write_text("a\n\ne\nc\nd\n")
    result = _run(
        "learn", tmp_path / "with.txt", tmp_path / "without.txt", tmp_path / "map",
        "--model", workplace / "model", "--iterations", 1, "--matched",
    )  # fmt: skip
    assert result.exit_code == 0
    data = PromptSet.load(tmp_path / "map" / "prompts.json")
    assert (*zip(data.source, data.target, strict=True),) == (
        ("a x", "a"), ("a x", "e"), ("c x", "c"), ("d x", "d")
    )  # fmt: skip


@pytest.mark.usefixtures("painted")
def test_words_that_a_small_model_has_not_learnt_are_told(workplace, tmp_path):
    words = workplace / "pipeline" / "words.txt"
    words.write_text("# subjects\na\nb\nc\nd\ne\nf\ng\nh\nlighthouse\n")
    try:
        learnt = _run(
            "learn", workplace / "set.json", tmp_path / "map",
            "--model", workplace / "pipeline", "--iterations", 1,
        )  # fmt: skip
        painted = _run(
            "generate", "a lighthose", "--model", workplace / "pipeline", "--output-dir", tmp_path
        )
    finally:
        words.unlink()
    assert (learnt.exit_code, painted.exit_code) == (0, 0)
    assert "not learnt" not in learnt.stderr
    assert "not learnt: “lighthose” (it knows “lighthouse”)." in painted.stderr


def test_two_files_with_one_side_each_are_learnt_from(workplace, tmp_path):
    (tmp_path / "pos.txt").write_text("# letters\na b c\nb c d\n")
    (tmp_path / "neg.txt").write_text("h g f\ng f e\n")
    result = _run(
        "learn", tmp_path / "pos.txt", tmp_path / "neg.txt", tmp_path / "map",
        "--model", workplace / "model", "--iterations", 1,
    )  # fmt: skip
    assert result.exit_code == 0
    assert "note: pos.txt: 1 comment line skipped" in result.stderr
    data = PromptSet.load(tmp_path / "map" / "prompts.json")
    assert (data.source, data.target) == (("a b c", "b c d"), ("h g f", "g f e"))
    assert _run("learn", *[tmp_path / "pos.txt"] * 3, tmp_path / "map").exit_code == 2


TABLE = "before,after,score\na b,y z,1\nb c,x y,0\nc d,w x,1\nd e,v w,0\n"


@pytest.mark.parametrize(
    ("options", "sides"),
    [
        (["--text-column", "Before", "--label-column", "score", "--source-label", "1"],
         (("a b", "c d"), ("b c", "d e"))),
        (["--text-column", "after", "--text-column", "before"],
         (("y z", "x y", "w x", "v w"), ("a b", "b c", "c d", "d e"))),
    ],
)  # fmt: skip
def test_columns_are_named_on_the_command_line(workplace, tmp_path, options, sides):
    (tmp_path / "table.csv").write_text(TABLE)
    result = _run(
        "learn", tmp_path / "table.csv", tmp_path / "map",
        "--model", workplace / "model", "--iterations", 1, *options,
    )  # fmt: skip
    assert result.exit_code == 0
    data = PromptSet.load(tmp_path / "map" / "prompts.json")
    assert (data.source, data.target) == sides


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "before, after, score found; source and target, text and label, or text expected"),
        (["--text-column", "none"], "there is no column 'none' among before, after, score"),
        (["--text-column", "before", "--label-column", "score"], "0, 1|1, 0 found, and it is not"),
        (["--text-column", "before", "--label-column", "score", "--source-label", "2"],
         "there is no label '2' among"),
        (["--text-column", "before", "--text-column", "after", "--label-column", "score"],
         "give one with a label column, or two"),
    ],
)  # fmt: skip
def test_columns_that_do_not_tell_are_one_sentence(tmp_path, options, sentence):
    (tmp_path / "table.csv").write_text(TABLE)
    result = _run("learn", tmp_path / "table.csv", tmp_path / "map", "--model", "none", *options)
    told = f"{result.exception} {result.stderr}".replace("│", " ")
    assert re.search(sentence, " ".join(told.split()))
    assert not (tmp_path / "map").exists()


def test_prompts_that_are_cut_are_told_before_they_are_learnt_from(workplace, tmp_path):
    sides = {"source": ["a" * 600, "b"], "target": ["a" * 600 + "c", "d"]}
    (tmp_path / "long.json").write_text(json.dumps(sides))
    result = _run(
        "learn", tmp_path / "long.json", tmp_path / "map",
        "--model", workplace / "model", "--iterations", 1,
    )  # fmt: skip
    assert "note: 2 prompts are longer than the model reads (512 tokens" in result.stderr
    assert "note: 1 source prompt differs from the target prompts only in what" in result.stderr
    assert result.stderr.index("longer than") < result.stderr.index("loss")


def test_prompts_are_learnt_from_as_turns_of_a_chat(workplace, tmp_path):
    model = tiny_language_model()
    refused = _run(
        "learn", workplace / "set.json", tmp_path / "map", "--model", workplace / "model", "--chat"
    )
    assert "has no chat template" in str(refused.exception)
    model.tokenizer.chat_template = "{% for m in messages %}<{{ m.content }}>{% endfor %}"
    save_model(model, tmp_path / "model")
    result = _run(
        "learn", workplace / "set.json", tmp_path / "map", "--model", tmp_path / "model",
        "--iterations", 1, "--chat",
    )  # fmt: skip
    assert result.exit_code == 0
    assert json.loads(_run("info", tmp_path / "map").stdout)["chat"] is True


def test_turns_of_a_chat_that_are_cut_are_told_before_they_are_learnt_from(tmp_path):
    model = tiny_language_model()
    model.tokenizer.chat_template = "{% for m in messages %}<{{ m.content }}>{% endfor %}"
    save_model(model, tmp_path / "model")
    sides = {"source": ["a" * 511, "b"], "target": ["c", "d"]}  # read whole without template
    (tmp_path / "long.json").write_text(json.dumps(sides))
    result = _run(
        "learn", tmp_path / "long.json", tmp_path / "map", "--model", tmp_path / "model",
        "--iterations", 1, "--chat",
    )  # fmt: skip
    assert "note: 1 prompt is longer than the model reads (512 tokens" in result.stderr


def test_a_folder_with_a_file_of_somebody_else_is_refused_before_learning(
    workplace, tmp_path, monkeypatch
):
    monkeypatch.setattr(learning, "load_model", lambda *_, **__: pytest.fail("it was loaded"))
    (tmp_path / "README.md").write_text("mine")
    refused = _run("learn", workplace / "set.json", tmp_path, "--model", workplace / "model")
    assert "holds no map, but a README.md" in str(refused.exception)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_model_for_pictures_has_no_chat(painted, workplace, tmp_path):
    assert painted
    pipeline = workplace / "pipeline"
    refused = _run(
        "learn", workplace / "set.json", tmp_path / "map", "--model", pipeline, "--chat"
    )
    assert "makes pictures and has no chat template" in str(refused.exception)


def test_a_number_that_there_is_not_is_null_in_json():
    row = {"strength": 1.0, "perplexity": float("nan"), "text": "é"}
    assert json_line(row) == '{"strength": 1.0, "perplexity": null, "text": "é"}'


def test_rows_of_a_sweep_are_readable():
    side = {"concept": 0.5, "image": 0.75}
    pictures = {"strength": -1.0, "pictures": 2, "with": side, "without": side | {"concept": None}}
    assert format_row(pictures) == (
        "λ -1     concept with  0.50  ImgScore  0.75  without -  ImgScore  0.75  (2 pictures)"
    )
    thing = {"left": 0.031, "visible": 1, "shown": 2, "cast": 5.1, "kept": 0.9, "moved": 2.55}
    assert format_row({**pictures, "removal": thing}).startswith(
        "λ -1     left  0.03  visible 1/2  rest  2.0%  moved  1.0%  concept with  0.50"
    )
    style = {"way": None, "way_in_pixels": None, "astray": 0.25, "moved": 2.55}
    assert format_row({**pictures, "removal": style}).startswith(
        "λ -1     way     -  astray  0.25  moved  1.0%  concept with  0.50"
    )
    share = {"share": 0.25, "spread": 0.0, "judged": 4}
    texts = {"strength": 1.0, "texts": 4, **share, "by": {"toxicity": share, "insults": share}}
    assert format_row({**texts, "perplexity": 12.34, "repetition": 0.1}) == (
        "λ +1     toxicity  25.0% ±  0.0%  insults  25.0% ±  0.0%"
        "  perplexity   12.3  repeated  10%  (4 texts)"
    )
    unjudged = {"share": math.nan, "spread": math.nan, "judged": 0}
    assert '"share": null' in json_line({"by": {"toxicity": unjudged}})
