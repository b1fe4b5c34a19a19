"""Models outside of the catalog in a real browser: looked at, downloaded, cancelled, learnt on."""

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from app.studio.studio import Studio
from tests.browser.pages import CHROMIUM, served, visited
from tests.fakes import save_model, tiny_language_model
from tests.hub import Repository, serve, use

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing: apt install chromium"),
    pytest.mark.slow,
]
CARD = {"README.md": b"---\nlicense: apache-2.0\n---\n"}
WRITTEN = "document.querySelectorAll('.passage .text').length >= 2"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A hub with a tiny model, a folder with another one, and a page that knows neither."""
    root = tmp_path_factory.mktemp("any")
    save_model(tiny_language_model(endless=True), root / "published")
    folder = save_model(tiny_language_model(seed=1, endless=True), root / "own")
    files = Repository.of(root / "published").files | CARD
    pickles = save_model(tiny_language_model(seed=2, endless=True), root / "pickles")
    state = load_file(f"{pickles}/model.safetensors")
    torch.save(state, f"{pickles}/pytorch_model.bin")
    Path(pickles, "model.safetensors").unlink()
    both = {
        "some/texts": Repository(files),
        "some/pickles": Repository(Repository.of(Path(pickles)).files | CARD),
    }
    with serve(both) as hub, pytest.MonkeyPatch.context() as patch:
        use(hub, patch, root / "hub")
        # The worker is a process of its own.
        patch.setenv("HF_ENDPOINT", hub.url)
        patch.setenv("HF_HUB_CACHE", str(root / "hub"))
        patch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        studio = Studio(root / "data", assets=root)
        with served(studio) as address:
            yield SimpleNamespace(hub=hub, folder=folder, studio=studio, address=address)


@pytest.fixture
def page(place):
    with visited(f"{place.address}#learn") as page:
        page.get_by_role("tab", name="Learn").click()
        yield page


def _look(page, name):
    page.get_by_label("Or another model").fill(name)
    page.get_by_role("button", name="Check this model").click()


def _learn(page, title):
    """Learn a map from a few prompts, and write a text with it."""
    page.get_by_label("Name", exact=True).fill(title)
    page.get_by_label("Source: steer").fill("a b\nb c\nc d")
    page.get_by_label("Target: steer").fill("y z\nx y\nw x")
    page.locator("button.label-wrap:visible", has_text="Settings").click()
    page.get_by_role("spinbutton", name="Iterations").fill("3")
    page.get_by_role("button", name="Start", exact=True).click()
    page.locator(".job.done h2").filter(has_text=title).wait_for()
    page.get_by_role("button", name="Try it").click()
    page.wait_for_function(WRITTEN)


def test_a_model_of_the_hub_is_looked_at_downloaded_and_learnt_on(page, place):
    _look(page, "some/typo")
    page.get_by_text("the hub has no such repository").wait_for()
    assert not page.get_by_role("button", name="Download").is_visible()

    _look(page, "some/texts")
    facts = page.locator(".learn dl.facts")
    facts.wait_for()
    told = facts.inner_text()
    for fact in ("language model, LlamaForCausalLM", "apache-2.0", "modules, the first is model"):
        assert fact in told
    assert "this machine has" in told
    assert not place.hub.downloads("safetensors")

    release = place.hub.holds["model.safetensors"] = threading.Event()
    download = page.get_by_role("button", name="Download some/texts (1 MB, apache-2.0)")
    download.click()
    page.get_by_text("now model.safetensors").wait_for()
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_text("Cancelling").wait_for()
    release.set()
    page.get_by_text("The installation was cancelled.").wait_for()
    assert not place.studio.models.installed("some/texts")

    download.click()
    download.wait_for(state="hidden")
    assert place.studio.models.installed("some/texts")
    _learn(page, "From the hub")
    (entry,) = place.studio.maps()
    assert entry.model == f"some/texts@{place.hub.repositories['some/texts'].commit}"
    assert page.get_by_label("Concept").and_(page.locator(":visible")).input_value() == (
        "From the hub · some/texts · yours"
    )


def test_pickled_weights_are_converted_with_progress_and_can_be_cancelled(page, place):
    _look(page, "some/pickles")
    page.get_by_role("button", name="Download some/pickles").click()
    page.get_by_text("converting the weights to safetensors").wait_for()
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_text("The installation was cancelled.").wait_for()
    convert = page.get_by_role("button", name="Convert some/pickles")
    convert.wait_for()
    assert place.studio.models.unconverted("some/pickles")
    convert.click()
    convert.wait_for(state="hidden")
    page.get_by_text("converting the weights to safetensors").wait_for(state="hidden")
    assert not place.studio.models.unconverted("some/pickles")


def test_a_model_in_a_folder_is_looked_at_and_learnt_on(page, place):
    _look(page, f"{place.folder}/nowhere")
    page.get_by_text("there is no folder").wait_for()
    _look(page, place.folder)
    facts = page.locator(".learn dl.facts")
    facts.wait_for()
    assert "none, already here" in facts.inner_text()
    _learn(page, "From a folder")
    assert place.folder in {entry.model for entry in place.studio.maps()}
