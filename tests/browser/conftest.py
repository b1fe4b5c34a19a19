"""What several pages are opened over."""

import pytest

from lineas_core import LearnConfig, PromptSet, learn, save_maps
from tests.browser.pages import TRAFFIC
from tests.fakes import save_model, tiny_image_model


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call):
    """Print what the pages did with a test that failed: a hang tells nothing else."""
    report = yield
    if call.when == "setup":
        TRAFFIC.clear()
    if report.failed and TRAFFIC:
        report.sections.append(("requests and answers of the pages", "\n".join(TRAFFIC)))
    return report


@pytest.fixture(scope="session")
def letters(tmp_path_factory):
    """A folder of assets: one ready-made map of a tiny model for pictures, random weights."""
    root = tmp_path_factory.mktemp("letters")
    model = tiny_image_model()
    model.name = save_model(model, root / "model")
    prompts = PromptSet(("a b", "b c"), ("y z", "x y"), name="Letters", keywords=("with ab",))
    config = LearnConfig(iterations=3, learning_rate=0.5)
    maps = learn(model, prompts.source, prompts.target, config=config)
    save_maps(maps, root / "assets" / "maps" / "letters", prompts=prompts)
    return root / "assets"
