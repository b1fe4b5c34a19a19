"""The panel that offers a missing model, without a server."""

from contextlib import suppress
from types import SimpleNamespace

import gradio as gr
import pytest

from app.widgets.install import install_panel
from app.widgets.install_handlers import InstallHandlers, Offer
from lineas_core import UserError
from lineas_core.models.catalog import MODELS
from tests.app.fakes import is_skip, requested

A, B = [name for name, entry in MODELS.items() if entry.embedded][:2]


def test_an_offer_that_takes_long_does_not_replace_that_for_a_later_model():
    """The hub is asked about a model, and the button then installed another one than it named."""
    shown = []

    def offer(model, _):
        if model == "slow":
            shown.append(first("chosen meanwhile", set()))
        return Offer(model)

    handlers = SimpleNamespace(offer=offer, install=print, cancel=print)
    with gr.Blocks() as demo:
        install_panel(handlers, gr.State(""))
    first, *_ = (event.fn for event in demo.fns.values())
    with requested():
        assert all(map(is_skip, first("slow", set())))
    assert shown == [Offer("chosen meanwhile")]


def _panel(steps):
    """The handlers of a panel, of which nothing is installed; installing yields the steps."""
    models = SimpleNamespace(installed=lambda _: False, install=lambda _: iter(steps))
    return InstallHandlers(SimpleNamespace(models=models, read_only=False))


def test_a_model_that_is_chosen_again_while_it_is_installed_can_still_be_cancelled():
    """Its button came back, which did nothing, and the one that cancels was gone until the end."""
    handlers, running = _panel(["a: 1 of 2 MB", "a: 2 of 2 MB"]), set()
    steps = handlers.install(A, running)
    _, install, cancel = next(steps)
    assert (install.visible, cancel.visible) == (False, True)
    for model, busy in ((B, False), (A, True)):
        offer = handlers.offer(model, running)
        assert (offer.button.visible, offer.cancel.visible) == (not busy, busy)
    # The progress goes on, and leaves the buttons to whichever model is chosen.
    assert all(map(is_skip, next(steps)[1:]))
    assert list(steps) == []
    offer = handlers.offer(A, running)
    assert (offer.button.visible, offer.cancel.visible) == (True, False)


def test_two_models_are_installed_by_one_panel_and_a_second_click_does_nothing():
    """The page dropped the click on the button of the second model."""
    handlers, running = _panel(["1 of 2 MB"]), set()
    first = handlers.install(A, running)
    next(first)
    assert [*handlers.install(A, running)] == []
    assert len([*handlers.install(B, running)]) == 1
    assert running == {A}
    with gr.Blocks() as demo:
        install_panel(handlers, gr.State(""))
    (event,) = (fn for fn in demo.fns.values() if fn.concurrency_id == "install")
    assert event.trigger_mode == "multiple"


def test_a_model_is_offered_again_after_its_installation_has_failed_or_was_cancelled():
    for code in ("E_DOWNLOAD", "E_CANCELLED"):

        def steps(code=code):
            yield "a: 1 of 2 MB"
            raise UserError(code, "it ended", remedy="Try again.")

        handlers, running = _panel(steps()), set()
        with suppress(gr.Error):
            for view in handlers.install(A, running):
                last = view
        progress, *buttons = last
        assert all(map(is_skip, buttons))
        assert "1 of 2" not in progress
        assert ("cancelled" in progress) == (code == "E_CANCELLED")
        assert handlers.offer(A, running).button.visible


@pytest.mark.parametrize("read_only", [False, True])
def test_pickled_weights_are_offered_to_be_converted(read_only):
    models = SimpleNamespace(installed=lambda _: True, unconverted=lambda _: 14 << 30)
    studio = SimpleNamespace(models=models, read_only=read_only)
    offer = InstallHandlers(studio).offer("some/model")
    assert offer.column.visible == (not read_only)
    if not read_only:
        shown = offer.button.value, offer.button.visible
        assert shown == ("Convert some/model (14,336 MB)", True)
        assert "pickle files" in offer.sentence
    models.unconverted = lambda _: 0
    assert not InstallHandlers(studio).offer("some/model").column.visible
