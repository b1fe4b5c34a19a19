import time

import pytest

from app.studio.models import Models
from lineas_core import UserError
from lineas_core.models.catalog import MODELS
from tests.fakes import tiny_language_model


@pytest.fixture
def anything(monkeypatch):
    """Every name is that of an installed model."""
    monkeypatch.setattr("app.studio.models.installed", lambda _: True)


def test_a_missing_model_is_refused_with_the_button_to_click(monkeypatch):
    monkeypatch.setattr("app.studio.models.installed", lambda _: False)
    with pytest.raises(UserError, match="Click “Install"):
        Models().require(next(iter(MODELS)))


def test_installing_tells_its_steps_and_then_its_failure(monkeypatch):
    def fetch(model, progress):
        progress(f"{model}: downloading")
        raise UserError("E_DOWNLOAD", "no network", remedy="Try again.")

    monkeypatch.setattr("app.studio.models.fetch", fetch)
    steps = Models().install("tiny")
    assert next(steps) == "tiny: downloading"
    with pytest.raises(UserError, match="no network"):
        next(steps)


def test_work_whose_progress_stands_still_can_be_cancelled(monkeypatch):
    """As that of a conversion does, for seconds."""

    def fetch(_, progress):
        while True:
            progress("tiny: converting, 0 of 9 MB")

    monkeypatch.setattr("app.studio.models.fetch", fetch)
    models = Models()
    steps = models.install("tiny")
    assert next(steps) == "tiny: converting, 0 of 9 MB"
    models.cancel("tiny")
    with pytest.raises(UserError, match="was cancelled") as caught:
        next(steps)
    assert caught.value.code == "E_CANCELLED"


@pytest.mark.usefixtures("anything")
def test_at_most_two_models_stay_loaded(monkeypatch):
    monkeypatch.setattr("app.studio.models.load_model", lambda name, **_: name)
    models = Models()
    for name in ("one", "two", "one", "three"):
        with models.use(name) as model:
            assert model == name
    assert models.loaded == ["one", "three"]


@pytest.mark.usefixtures("anything")
def test_a_model_that_cannot_be_loaded_leaves_the_turn_to_others(monkeypatch):
    def load(name, **_):
        raise UserError("E_MODEL", f"no model {name}", remedy="Choose another one.")

    monkeypatch.setattr("app.studio.models.load_model", load)
    models = Models()
    with pytest.raises(UserError, match="no model one"), models.use("one"):
        pass
    assert not models.busy


def test_a_model_that_is_kept_is_neither_loaded_again_nor_released():
    models, model = Models(idle_seconds=0.05), tiny_language_model()
    models.keep(model)
    with models.use(model.name) as found:
        assert found is model
    with models.use("emoji-world"):
        pass
    end = time.monotonic() + 60
    while models.loaded != [model.name]:
        assert time.monotonic() < end, "the other model was not released"
        time.sleep(0.01)


@pytest.mark.usefixtures("anything")
def test_idle_models_are_released_but_not_while_they_are_used(monkeypatch):
    monkeypatch.setattr("app.studio.models.load_model", lambda name, **_: name)
    models, end = Models(idle_seconds=0.05), time.monotonic() + 60
    with models.use("one"):
        time.sleep(0.2)
        assert models.loaded == ["one"]
    while models.loaded:
        assert time.monotonic() < end, "the model was not released"
        time.sleep(0.01)
    with models.use("one") as model:
        assert model == "one"
