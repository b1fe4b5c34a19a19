"""A page that also answers OpenAI's API, as it is started."""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import openai
import pytest
import torch

from lineas_core import AffineMap, SteeringMaps, compose, find_modules, fold, save_maps
from lineas_core.models import Sampling
from lineas_core.storage.places import WEIGHTS
from tests.fakes import save_model, tiny_language_model

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a model; the page has its data there, too."""
    folder = tmp_path_factory.mktemp("page")
    save_model(tiny_language_model(), folder / "tiny")
    return folder


@pytest.fixture(scope="module")
def page(folder):
    """The address of a page with a login, whose endpoint needs a key."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "app.py", "--port", str(port), "--data-dir", str(folder / "data")),
        *("--openai", str(folder / "tiny")),
    ]
    environment = {**os.environ, "LINEAS_AUTH": "me:secret", "LINEAS_API_KEY": "key"}
    server = subprocess.Popen(command, cwd=ROOT, env=environment)
    address = f"http://127.0.0.1:{port}"
    while server.poll() is None:
        with suppress(httpx.TransportError):
            httpx.get(address, timeout=60)
            break
        time.sleep(0.1)
    assert server.poll() is None
    yield address
    server.terminate()
    server.wait()


def test_the_endpoint_of_a_page_answers_and_streams(page):
    client = openai.OpenAI(base_url=f"{page}/v1", api_key="key", max_retries=0)
    assert [model.id for model in client.models.list()] == ["tiny"]
    options = {"model": "tiny", "prompt": "hello", "seed": 7, "max_tokens": 12}
    (wanted,) = tiny_language_model().generate(["hello"], seeds=[7], sampling=Sampling(12))
    assert client.completions.create(**options).choices[0].text == wanted
    chunks = client.completions.create(**options, stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == wanted


def _save(folder, name, title):
    """Save a map of the page's model in its library, as the page does; returns it."""
    modules = find_modules(tiny_language_model().network, ".*o_proj")
    steps = {each: AffineMap(torch.full((32,), 1.5), torch.ones(32)) for each in modules}
    maps = SteeringMaps(steps, {"model": str(folder / "tiny"), "title": title})
    save_maps(maps, folder / "data" / "maps" / name)
    return maps


def test_maps_of_the_library_can_be_named_as_soon_as_they_are_there(page, folder):
    client = openai.OpenAI(base_url=f"{page}/v1", api_key="key", max_retries=0)

    def served():
        return [model.id for model in client.models.list()]

    def write(model):
        return client.completions.create(model=model, prompt="hello", seed=7, max_tokens=12)

    maps, model = _save(folder, "first", "City at night"), tiny_language_model()
    assert served() == ["tiny", "tiny+city-at-night"]
    with fold(model.network, compose([maps], [0.5])):
        (wanted,) = model.generate(["hello"], seeds=[7], sampling=Sampling(12))
    assert write("tiny+city-at-night:0.5").choices[0].text == wanted
    _save(folder, "first", "Night")
    assert served() == ["tiny", "tiny+night"]
    with pytest.raises(openai.NotFoundError, match="no map 'city-at-night'"):
        write("tiny+city-at-night")
    _save(folder, "second", "Night!")  # the title no longer tells them apart
    assert served() == ["tiny", "tiny+first", "tiny+second"]
    (folder / "data" / "maps" / "second" / WEIGHTS).write_bytes(b"torn")
    shutil.rmtree(folder / "data" / "maps" / "first")
    assert served() == ["tiny"]


def test_it_is_guarded_like_the_page_and_the_page_works_beside_it(page):
    body, right = {"model": "tiny", "prompt": "a"}, {"authorization": "Bearer key"}
    foreign = {**right, "origin": "https://evil.example"}
    for headers, status in ((right, 200), ({}, 401), (foreign, 403)):
        answer = httpx.post(f"{page}/v1/completions", json=body, headers=headers, timeout=60)
        assert answer.status_code == status
    named = httpx.get(f"{page}/v1/models", headers={**right, "host": "evil.example"}, timeout=60)
    assert named.status_code == 403
    assert httpx.get(f"{page}/config", timeout=60).status_code == 401
    login = {"username": "me", "password": "secret"}
    assert httpx.post(f"{page}/login", data=login, timeout=60).is_success
