"""A public demo: everybody can look and steer, and nobody changes anything."""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import yaml

from app.images.blind_handlers import BlindHandlers
from app.jobs.job import JobRequest
from app.library.handlers import LibraryHandlers
from app.studio.studio import Studio
from app.widgets.install_handlers import InstallHandlers
from lineas_core import LearnConfig, PromptSet, UserError, load_maps, save_maps
from tests.app.served import Program, served

ROOT = Path(__file__).parents[2]
SPACE = ROOT / "spaces"
REFUSED = {
    *("JobHandlers.stop", "JobHandlers.resume", "JobHandlers.delete"),
    *("InstallHandlers.install", "InstallHandlers.cancel"),
    *("LibraryHandlers.confirm", "LibraryHandlers.rename"),
    *("LibraryHandlers.duplicate", "LibraryHandlers.delete", "LibraryHandlers.undo"),
    *("LibraryHandlers.import_map", "ExportHandlers.weights", "LibraryHandlers.publish"),
    "MethodsHandlers.learn_others",
}


@pytest.fixture(scope="module")
def studio(assets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    save_maps(load_maps(assets / "maps" / "letters"), folder / "maps" / "mine")
    return Studio(folder, assets=assets, read_only=True)


@pytest.fixture(scope="module")
def demo(studio):
    with served(studio) as both:
        yield both


def _files(folder):
    return {file: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}


def test_a_visitor_steers(demo):
    program = Program(demo[1])
    assert "letters" in str(program.call("list_maps"))
    kind, value = program.call("make_pictures", "letters", "a b", [0, 1])
    assert (kind, len(value[0])) == ("complete", 2)
    assert program.call("continue_text", "words", "a", [0.5])[0] == "complete"


def test_whatever_changes_something_is_refused_and_nothing_changes(demo, studio):
    page, address = demo
    folder = studio.jobs.folder.parent
    before, refused = _files(folder), set()
    for number, function in page.fns.items():
        if getattr(function.fn, "changes", False):
            refused.add(function.fn.__qualname__)
            values = ["mine"] * len(function.inputs)
            answer = Program(address).join(f"s{number}", number, values)
            assert not answer["success"]
            assert "The public demo does not allow this" in answer["output"]["error"]
    assert refused == REFUSED
    assert _files(folder) == before


def test_no_way_leads_to_a_job(studio):
    """Whatever handler forgets to be refused, nothing is queued."""
    request = JobRequest("t", "small", PromptSet(("a", "b"), ("c", "d")), LearnConfig())
    with pytest.raises(UserError, match="nothing is learnt in a public demo") as caught:
        studio.jobs.submit(request)
    assert caught.value.code == "E_DEMO"
    assert not studio.jobs.list()


def test_a_visitor_cannot_make_the_server_look_into_folders_or_at_the_hub(demo, studio):
    page, _ = demo
    names = {getattr(function.fn, "__qualname__", "") for function in page.fns.values()}
    assert not [
        name for name in names if name.startswith(("FormHandlers", "LearnEnd", "ModelHandlers"))
    ]
    offer = InstallHandlers(studio).offer("some/model")
    assert "not part of this demo" in offer.sentence
    assert not offer.button.visible


def test_there_is_no_endpoint_that_learns(demo):
    program = Program(demo[1])
    for name in ("learn", "job", "stop_job", "resume_job"):
        assert program.http.post(f"/gradio_api/call/{name}", json={"data": []}).is_client_error


def test_a_vote_is_answered_and_not_kept(studio):
    handlers = BlindHandlers(studio)
    pair = handlers.draw("letters", []).pair
    assert pair["steered"] in handlers.answer("A", pair, pair["key"]).verdict
    assert not studio.votes.preferences()


def test_what_a_demo_does_not_do_is_not_offered(studio, monkeypatch):
    view = LibraryHandlers(studio).details("mine")
    for part in (view.name, view.delete, view.hint, view.confirm, view.weights):
        assert not part.visible
    assert view.use.visible
    monkeypatch.setattr(studio.models, "installed", lambda _: False)
    offer = InstallHandlers(studio).offer("gemma-3-270m")
    assert "is not part of this demo" in offer.sentence
    assert not offer.button.visible


def test_the_entry_of_a_space_needs_no_login_and_may_be_shown_in_a_frame(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    places = {"SPACE_HOST": "me-lineas.hf.space", "GRADIO_SERVER_PORT": str(port)}
    environment = {**os.environ, **places, "XDG_DATA_HOME": str(tmp_path)}
    log = tmp_path / "log"
    with log.open("wb") as file:
        command = [sys.executable, SPACE / "demo.py"]
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)
    try:
        while server.poll() is None:
            with suppress(httpx.TransportError):
                headers = {"host": "me-lineas.hf.space"}
                answer = httpx.get(f"http://127.0.0.1:{port}/", headers=headers, timeout=60)
                break
            time.sleep(0.1)
        assert server.poll() is None, log.read_text()
        assert answer.status_code == 200
        assert "frame-ancestors *" in answer.headers["content-security-policy"]
        assert "This is a public demo" in answer.text
    finally:
        server.terminate()
        server.wait()


def test_the_front_matter_of_the_space_fits_the_project():
    front = yaml.safe_load((SPACE / "README.md").read_text(encoding="utf-8").split("---")[1])
    assert (ROOT / front["app_file"]).is_file()
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert f"gradio=={front['sdk_version']}" in pinned
    assert len(front["short_description"]) <= 60  # what the hub allows


@pytest.mark.parametrize("option", [["--mcp"], ["--openai", "smollm2-135m"]])
def test_a_demo_offers_programs_nothing_without_a_key(option):
    command = [sys.executable, "app.py", "--demo", *option]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "demo" in ended.stderr.splitlines()[-1]
