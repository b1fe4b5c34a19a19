"""What the page offers to copy: it runs, and it makes what the page shows."""

import json
import shlex
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from typer.testing import CliRunner

from app.history.snippets import snippets
from app.studio.maps import read_map
from app.studio.models import Models
from app.studio.pictures import Pictures
from app.studio.settings import Settings
from lineas_core import LearnConfig, PromptSet, cli, learn, load_maps, load_model, save_maps, steer
from lineas_core.models import Sampling
from lineas_core.paths import ASSETS
from lineas_core.pictures import read_recipe
from tests.fakes import save_model, tiny_image_model, tiny_language_model
from tests.pipelines import model_of

HOME = "https://example.org/studio/"
PROMPTS = PromptSet(("a b", "b c"), ("y z", "x y"), name="Letters")
AWKWARD = "-a \"b\" 'c' \\n $HOME `x` {y}\n#é"


def _map(root, name, model):
    model.name = save_model(model, root / f"{model.name} model")  # with a space
    config = LearnConfig(iterations=3, learning_rate=0.5)
    maps = learn(model, PROMPTS.source, PROMPTS.target, config=config)
    save_maps(maps, root / name, prompts=PROMPTS)
    return read_map(name, "yours", root / name)


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    return _map(tmp_path_factory.mktemp("pictures"), "letters", tiny_image_model())


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A map for a model that paints in several steps."""
    return _map(tmp_path_factory.mktemp("several"), "letters", model_of("sd"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return _map(tmp_path_factory.mktemp("texts"), "letters", tiny_language_model())


def _same(file, picture):
    with Image.open(file) as image:
        return ImageChops.difference(image.convert("RGB"), picture).getbbox() is None


def _run(text):
    """A copied command line, given to the command line itself."""
    python, flag, module, *arguments = shlex.split(text)
    assert (python, flag, module) == ("python", "-m", "lineas_core")
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("strengths", [[-0.5], [0.5, 0.25]])
def test_the_copied_python_paints_what_the_page_shows(painted, strengths, tmp_path, monkeypatch):
    entries = [painted] * len(strengths)
    copied = snippets(Settings(["letters"] * len(entries), strengths, AWKWARD, 7), entries, HOME)
    monkeypatch.chdir(tmp_path)
    exec(copied["Python"], {})
    (shown,) = Pictures(Models()).paint(entries, AWKWARD, [strengths], seed=7)
    assert _same("picture.png", shown.image)


@pytest.mark.parametrize("strengths", [[-0.5], [0.5, 0.25]])
def test_the_copied_command_line_paints_with_the_same_recipe(
    painted, strengths, tmp_path, monkeypatch
):
    settings = Settings(["letters"] * len(strengths), strengths, AWKWARD, 7)
    copied = snippets(settings, [painted] * len(strengths), HOME)
    monkeypatch.chdir(tmp_path)
    with Image.open(Path(_run(copied["Command line"]).strip())) as image:
        facts = json.loads(image.text["lineas"])
    assert (facts["prompt"], facts["seed"]) == (AWKWARD, 7)
    assert facts["maps"] == [["Letters", lam] for lam in strengths]


def test_copied_texts_are_those_of_the_page(written, capsys):
    settings = Settings(["letters"], [-0.5], AWKWARD, 7, length=5, temperature=0.7)
    copied = snippets(settings, [written], HOME)
    model, sampling = load_model(written.model), Sampling(5, 0.7)
    with steer(model.network, load_maps(written.folder), -0.5):
        (text,) = model.generate([AWKWARD], seeds=[7], sampling=sampling)
    exec(copied["Python"], {})
    assert capsys.readouterr().out == f"{text}\n"
    assert _run(copied["Command line"]) == f"{AWKWARD}{text}\n"


def test_a_ready_made_map_is_copied_by_its_name():
    name = "robot-emoji-world"
    entry = read_map(name, "ready-made", ASSETS / "maps" / name)
    copied = snippets(Settings([name], [0.5], "a b"), [entry], HOME)
    assert f"load_maps({name!r})" in copied["Python"]
    assert f"--map {name}:0.5" in copied["Command line"]


def test_a_question_is_copied_as_a_question(written):
    copied = snippets(Settings(["a"], [1], "Why?", chat=True), [written], HOME)
    assert "chat=True" in copied["Python"]
    assert "--chat" in copied["Command line"]
    assert copied["curl"].count("true") == 1


def test_the_link_begins_with_the_address_of_the_page(painted):
    copied = snippets(Settings(["letters"], [0.5], "a b", 7), [painted], HOME)
    assert copied["Link"] == f"{HOME}?map=letters&strength=0.5&seed=7&prompt=a%20b"


@pytest.mark.parametrize(("strengths", "further"), [([0.5], []), ([0.5, -1], [["letters", -1]])])
def test_curl_posts_what_the_endpoint_takes(painted, strengths, further):
    count = len(strengths)
    settings = Settings(["letters"] * count, strengths, AWKWARD, 7)
    words = shlex.split(snippets(settings, [painted] * count, HOME)["curl"])
    assert f"{HOME}gradio_api/call/make_pictures" in words
    posted = json.loads(words[words.index("-d") + 1])
    assert posted == {"data": ["letters", AWKWARD, [0.5], 7, further]}


def test_steps_and_guidance_are_copied_where_they_are_not_the_default(painted):
    settings = Settings(["letters"], [0.5], "a b", 7, steps=4, guidance=2.5)
    copied = snippets(settings, [painted], HOME)
    assert ".with_denoising(num_inference_steps=4, guidance_scale=2.5)\n" in copied["Python"]
    assert "--num-inference-steps 4 --guidance-scale 2.5" in copied["Command line"]
    words = shlex.split(copied["curl"])
    posted = json.loads(words[words.index("-d") + 1])
    assert posted == {"data": ["letters", "a b", [0.5], 7, [], 4, 2.5, None]}


@pytest.mark.parametrize("steered", [(0, 1), (2, 2)])
def test_what_is_copied_paints_with_the_steered_steps_of_the_page(
    several, steered, tmp_path, monkeypatch
):
    settings = Settings(["letters"], [0.5], "a b", 7, steps=3, steer_steps=steered)
    copied = snippets(settings, [several], HOME)
    monkeypatch.chdir(tmp_path)
    exec(copied["Python"], {})
    with_steps = Pictures(Models()).with_steps(settings.denoising)
    (shown,) = with_steps.paint([several], "a b", [[0.5]], seed=7)
    assert _same("picture.png", shown.image)
    file = Path(_run(copied["Command line"]).strip())
    assert _same(file, shown.image)
    assert read_recipe(file).steer_at == [*steered]
    words = shlex.split(copied["curl"])
    posted = json.loads(words[words.index("-d") + 1])
    assert posted == {"data": ["letters", "a b", [0.5], 7, [], 3, None, [*steered]]}


def test_nothing_in_an_address_ends_a_quoted_word(written):
    copied = snippets(Settings(["a"], [1], "b"), [written], "http://x/'; rm -r ~ #")
    assert "http://x/'; rm -r ~ #/gradio_api/call/continue_text" in shlex.split(copied["curl"])
