import time
from threading import Event

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


@pytest.fixture
def held(monkeypatch):
    """The download of `slow` lasts until this event, then it fails; all others succeed at once."""
    over = Event()

    def fetch(name, progress):
        progress(f"{name}: 1 of 2 MB")
        if name == "slow":
            over.wait()
            raise UserError("E_DOWNLOAD", "no network", remedy="Try again.")

    monkeypatch.setattr("app.studio.models.fetch", fetch)
    yield over
    over.set()


def test_an_installation_that_waits_for_another_one_says_so_and_can_be_cancelled(held):
    models = Models()
    first = models.install("slow")
    assert next(first) == "slow: 1 of 2 MB"
    second, third = models.install("quick"), models.install("other")
    assert next(second) == "quick: waiting for another download …"
    assert next(third) == "other: waiting for another download …"
    models.cancel("quick")
    with pytest.raises(UserError, match="was cancelled"):
        next(second)
    held.set()
    assert [*third] == ["other: 1 of 2 MB"]


def test_whoever_waited_for_a_download_of_the_same_model_can_cancel_the_next_try(monkeypatch):
    over, tries = Event(), []

    def fetch(_, progress):
        tries.append("one more")
        while len(tries) > 1 or not over.is_set():
            progress(f"try {len(tries)}")
        raise UserError("E_DOWNLOAD", "no network", remedy="Try again.")

    monkeypatch.setattr("app.studio.models.fetch", fetch)
    models = Models()
    first, second = models.install("tiny"), models.install("tiny")
    assert next(first) == "try 1"
    assert "waiting" in next(second)
    over.set()
    with pytest.raises(UserError, match="no network"):
        next(first)
    assert next(second) == "try 2"
    models.cancel("tiny")
    with pytest.raises(UserError, match="was cancelled"):
        next(second)


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
