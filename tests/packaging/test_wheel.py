"""The wheel: what lies in it, and that it works in a folder far from the clone."""

import json
import os
import socket
import subprocess
import sys
import sysconfig
import time
import venv
from email.parser import Parser
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError
from urllib.request import urlopen
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("LICENSE", "README.md", "app", "assets", "lineas_core", "prompts", "pyproject.toml")
SOURCES += ("requirements-dev.txt", "requirements.txt", "setup.py")
PAGE = {"lineas_core/data/assets/style.css"} | {
    f"lineas_core/data/assets/scripts/{file.name}"
    for file in (ROOT / "assets" / "scripts").glob("*.js")
}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel, built from links to the sources so that the clone stays clean."""
    root, folder = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        (root / name).symlink_to(ROOT / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*pip, "--no-build-isolation", "-w", folder, root], check=True)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="session")
def names(wheel):
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_only_two_packages_land_in_an_environment(names):
    at_the_top = {name.split("/")[0] for name in names}
    assert {n for n in at_the_top if not n.endswith(".dist-info")} == {
        "lineas_core",
        "lineas_studio",
    }


def test_the_wheel_holds_all_code_and_all_data(names):
    code = {
        f"{package}/{file.relative_to(ROOT / folder).as_posix()}"
        for folder, package in (("app", "lineas_studio"), ("lineas_core", "lineas_core"))
        for file in (ROOT / folder).rglob("*")
        if file.suffix == ".py" or file.name == "py.typed"
    }
    data = {
        f"lineas_core/data/{file.relative_to(ROOT).as_posix()}"
        for folder in ("assets/judges", "assets/maps", "assets/models", "prompts")
        for file in (ROOT / folder).rglob("*")
        if file.is_file()
    }
    assert not (code | data | PAGE) - names
    assert len(data) > 100


def test_the_wheel_says_what_it_needs_and_what_it_starts(wheel, names):
    (folder,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
    with ZipFile(wheel) as archive:
        facts = Parser().parsestr(archive.read(f"{folder}/METADATA").decode())
        commands = archive.read(f"{folder}/entry_points.txt").decode()
    assert "lineas = lineas_studio.launch:command_line" in commands
    assert set(facts.get_all("Provides-Extra")) == {
        "cluster",
        "dev",
        "harness",
        "mcp",
        "oracle",
    }
    needed = [line for line in facts.get_all("Requires-Dist") if "extra ==" not in line]
    assert len(needed) == len((ROOT / "requirements.txt").read_text().splitlines())
    assert len(facts.get_all("License-File")) == len(
        [*ROOT.glob("LICENSE"), *(ROOT / "assets").rglob("LICENSE")]
    )


def test_all_that_the_project_needs_is_pinned():
    pinned = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").open()}
    for file in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / file).read_text().splitlines():
            assert line.split("[")[0].split(">")[0].lower() in pinned


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment with the wheel, which sees the packages of this one; an empty folder."""
    root = tmp_path_factory.mktemp("environment")
    venv.create(root / "env", with_pip=False, symlinks=True)
    binaries = root / "env" / "bin"
    pip = [sys.executable, "-m", "pip", "--python", binaries / "python", "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", wheel], check=True)
    (packages,) = (root / "env").glob("lib/python*/site-packages")
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib"))
    (root / "empty").mkdir()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    places = {"cwd": root / "empty", "env": environment}
    return SimpleNamespace(binaries=binaries, folder=root / "empty", places=places)


@pytest.mark.slow
def test_the_installed_command_paints_with_a_ready_made_map(installed):
    prompt = "a castle by a lake, with a robot"
    command = [installed.binaries / "lineas", "generate", prompt, "--map", "robot-emoji-world"]
    command += ["--strengths", "0,1"]
    painted = subprocess.run(
        command, **installed.places, capture_output=True, text=True, check=False
    )
    assert painted.returncode == 0, painted.stderr
    assert [file.suffix for file in installed.folder.iterdir()] == [".png"]


@pytest.mark.slow
def test_the_notebook_runs_where_the_wheel_is_installed(installed, tmp_path):
    notebook = json.loads((ROOT / "docs" / "first-map.ipynb").read_text(encoding="utf-8"))
    code = [
        "from lineas_core import BUDGETS, LearnConfig",
        "BUDGETS['quick'] = LearnConfig(iterations=1)",
    ]
    code += ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    command = [installed.binaries / "python", "-c", "\n".join(code)]
    places = {**installed.places, "cwd": tmp_path}
    ran = subprocess.run(command, **places, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "51 modules" in ran.stdout
    assert (tmp_path / "my-vaporwave" / "lineas.safetensors").is_file()


@pytest.mark.slow
def test_the_installed_command_starts_the_page(installed, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [installed.binaries / "lineas", "studio", "--port", str(port)]
    page = subprocess.Popen([*command, "--data-dir", tmp_path], **installed.places)
    try:
        for path in ("/", "/config"):
            with urlopen(_when_there(f"http://127.0.0.1:{port}{path}", page)) as answer:
                assert b"LinEAS Studio" in answer.read()
    finally:
        page.terminate()
        page.wait()


def _when_there(url, page, seconds=180):
    deadline = time.monotonic() + seconds
    while page.poll() is None and time.monotonic() < deadline:
        try:
            urlopen(url).close()
        except (URLError, OSError):
            time.sleep(0.2)
        else:
            return url
    raise AssertionError(f"no page at {url}, exit status {page.poll()}")


_COPY = """
from lineas_core.paths import ASSETS
from lineas_studio.history.snippets import snippets
from lineas_studio.studio.maps import read_map
from lineas_studio.studio.settings import Settings
name = "robot-emoji-world"
entry = read_map(name, "ready-made", ASSETS / "maps" / name)
print(snippets(Settings([name], [0.5], "a castle"), [entry], "")["Command line"])
"""


@pytest.mark.slow
def test_the_installed_page_offers_the_installed_command(installed):
    command = [installed.binaries / "python", "-c", _COPY]
    copied = subprocess.run(
        command, **installed.places, capture_output=True, text=True, check=False
    )
    assert copied.stdout.startswith("lineas generate --map robot-emoji-world:0.5 "), copied.stderr


_JOB = """
import sys, time
from lineas_core import LearnConfig, PromptSet
from lineas_studio.jobs.job import PENDING, JobRequest
from lineas_studio.jobs.queue import Jobs
jobs = Jobs(sys.argv[1])
prompts = PromptSet(("a castle, with a robot", "a lake, with a robot"), ("a castle", "a lake"))
job = jobs.submit(JobRequest("Robot", "emoji-world", prompts, LearnConfig(iterations=1)))
while jobs.get(job).state in PENDING:
    time.sleep(0.1)
print(jobs.get(job).state, jobs.get(job).message)
"""


@pytest.mark.slow
def test_an_installed_worker_learns(installed, tmp_path):
    command = [installed.binaries / "python", "-c", _JOB, tmp_path]
    learnt = subprocess.run(
        command, **installed.places, capture_output=True, text=True, check=False
    )
    assert learnt.stdout.strip() == "done", learnt.stderr
