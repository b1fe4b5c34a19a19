"""A page that also answers OpenAI's API, as it is started."""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import openai
import pytest

from lineas_core.models import Sampling
from tests.fakes import save_model, tiny_language_model

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The address of a page with a login, whose endpoint needs a key."""
    folder = tmp_path_factory.mktemp("page")
    save_model(tiny_language_model(), folder / "tiny")
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
