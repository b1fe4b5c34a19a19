"""The panel that offers a missing model, without a server."""

from types import SimpleNamespace

import gradio as gr

from app.widgets.install import install_panel
from app.widgets.install_handlers import Offer
from tests.app.fakes import is_skip, requested


def test_an_offer_that_takes_long_does_not_replace_that_for_a_later_model():
    """The hub is asked about a model, and the button then installed another one than it named."""
    shown = []

    def offer(model):
        if model == "slow":
            shown.append(first("chosen meanwhile"))
        return Offer(model)

    handlers = SimpleNamespace(offer=offer, install=print, cancel=print)
    with gr.Blocks() as demo:
        install_panel(handlers, gr.State(""))
    first, *_ = (event.fn for event in demo.fns.values())
    with requested():
        assert all(map(is_skip, first("slow")))
    assert shown == [Offer("chosen meanwhile")]
