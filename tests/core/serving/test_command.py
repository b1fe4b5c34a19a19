"""The command `lineas serve`, in a process of its own, and the example of its documentation."""

import json
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import openai
import pytest
from typer.testing import CliRunner

from lineas_core import AffineMap, SteeringMaps, cli, find_modules, load_maps, save_maps
from lineas_core.models import installed
from lineas_core.serving.server import listen
from tests.fakes import save_model, tiny_image_model, tiny_language_model

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "endpoint.md"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    model = tiny_language_model()
    save_model(model, folder / "model")
    names = find_modules(model.network, ".*o_proj")
    maps = SteeringMaps({name: AffineMap.identity(32) for name in names}, {"model": "model"})
    for name in ("one", "other/one"):
        save_maps(maps, folder / name)
    endless = tiny_language_model(endless=True)
    endless.network.config.max_position_embeddings = 16_384
    save_model(endless, folder / "endless")
    return folder


@contextmanager
def _process(*arguments, key="", **environment):
    """A server in a process of its own, and the address that it prints."""
    command = [sys.executable, "-m", "lineas_core", "serve", *map(str, arguments), "--port", "0"]
    environment |= {"LINEAS_API_KEY": key} if key else {}
    process = subprocess.Popen(
        ["env", *(f"{k}={v}" for k, v in environment.items()), *command],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        address, *_ = process.stdout.readline().split(" serves ")
        yield process, address
    finally:
        process.kill()
        process.communicate()


@contextmanager
def _serving(*arguments, key="", **environment):
    """The address of a server that is interrupted in the end."""
    with _process(*arguments, key=key, **environment) as (process, address):
        yield address
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def test_a_model_and_a_map_in_folders_are_served_by_their_names_until_an_interrupt(workplace):
    with _serving(workplace / "model", "--map", workplace / "one", key="secret") as address:
        header = {"Authorization": "Bearer secret"}
        with urlopen(Request(f"{address}/models", headers=header)) as answer:
            models = json.load(answer)["data"]
    assert [each["id"] for each in models] == ["model", "model+one"]


def test_a_map_of_the_page_the_batch_the_queue_and_the_web_pages_are_options(workplace):
    maps = load_maps(workplace / "one")
    titled = SteeringMaps(maps.maps, {**maps.metadata, "title": "City at night"})
    save_maps(titled, workplace / "data" / "lineas-studio" / "maps" / "1a2b3c4d")
    options = {"batch-texts": 2, "batch-tokens": 100, "max-waiting": 3}
    options |= {"allow-origin": "https://Chat.example/", "map": "city-at-night"}
    given = [text for name, value in options.items() for text in (f"--{name}", value)]
    with (
        _serving(
            workplace / "model", *given, key="secret", XDG_DATA_HOME=workplace / "data"
        ) as address,
        openai.OpenAI(base_url=address, api_key="secret", max_retries=0) as client,
    ):
        text = {"model": "model", "prompt": "a"}
        with pytest.raises(openai.BadRequestError, match="together more than 100"):
            client.completions.create(**text, max_tokens=100)
        with pytest.raises(openai.BadRequestError, match="at most 3 at once"):
            client.completions.create(**text, n=4)
        page = {"Origin": "https://chat.example", "Authorization": "Bearer secret"}
        with urlopen(Request(f"{address}/models", headers=page)) as answer:
            assert answer.headers["access-control-allow-origin"] == "https://chat.example"
            names = [each["id"] for each in json.load(answer)["data"]]
            assert names == ["model", "model+city-at-night"]


@pytest.mark.parametrize("ends", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_server_tells_every_client_so_in_one_sentence(workplace, ends):
    # Two texts that fit into one batch, for far longer than a server waits for them.
    long = {"model": "endless", "prompt": "a", "max_tokens": 16000}
    with (
        _process(workplace / "endless") as (process, address),
        openai.OpenAI(base_url=address, api_key="none", max_retries=0) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        whole = pool.submit(client.completions.create, **long)
        stream = client.completions.create(**long, stream=True)
        next(stream)
        process.send_signal(ends)
        with pytest.raises(openai.APIError, match="the server was stopped"):
            list(stream)
        with pytest.raises(openai.APIStatusError, match="the server was stopped") as refused:
            whole.result()
        assert refused.value.status_code == 503
        _, told = process.communicate(timeout=60)
    assert "Traceback" not in told


def _refused(*arguments):
    result = CliRunner().invoke(cli.app, ["serve", *map(str, arguments)])
    assert result.exit_code
    # typer draws a box, which breaks lines.
    return re.sub(r"[\s│]+", " ", f"{result.output} {result.exception}")


def test_what_cannot_be_served_is_refused_in_one_sentence(workplace):
    model = workplace / "model"
    assert "needs a key" in _refused(model, "--host", "0.0.0.0")
    assert "needs a key" in _refused(model, "--allow-origin", "https://chat.example")
    for address in ("*", "null", "chat.example", "https://chat.example/page"):
        refused = _refused(model, "--allow-origin", address, "--api-key", "secret")
        assert "is not an address such as https://chat.example" in refused
    for option in ("--batch-texts", "--batch-tokens", "--max-waiting"):
        refused = _refused(model, option, 0)
        assert (
            f"Invalid value for '{option}': Input should be greater than or equal to 1" in refused
        )
    with listen("127.0.0.1", 0) as taken:
        assert "cannot be used" in _refused(model, "--port", taken.getsockname()[1])
    pair = ["--map", workplace / "one", "--map", workplace / "other" / "one"]
    assert "two maps have the name one" in _refused(model, *pair, "--port", 0)
    assert "there is no model" in _refused("nothing", "--port", 0)
    save_model(tiny_image_model(), workplace / "picture")
    assert "paints pictures" in _refused(workplace / "picture", "--port", 0)


@pytest.mark.skipif(not installed("smollm2-135m"), reason="SmolLM2 is not installed")
def test_the_example_of_the_documentation_works_word_for_word(capsys):
    (command,) = re.findall(r"^    lineas (serve .*)$", PAGE.read_text("utf-8"), re.M)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    options = ["--map", "football-smollm2-135m:0.8", "--seed", "7", "--json"]
    generated = CliRunner().invoke(cli.app, ["generate", "Once upon a time", *options])
    with _serving(*command.split()[1:]) as address:
        exec(code.replace("http://127.0.0.1:8000/v1", address), {})
        told = capsys.readouterr().out
        client = openai.OpenAI(base_url=address, api_key="none")
        assert "smollm2-135m+football" in [model.id for model in client.models.list()]
    text = json.loads(generated.stdout)["text"]
    assert told.startswith(f"{text}\n")
    assert len(told) > len(text) + 20
