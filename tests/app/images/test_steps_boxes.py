"""What the boxes for steps say holds for the pictures of every panel."""

import gradio as gr
import pytest

from app.images.batch_handlers import ImageBatchHandlers
from app.images.blind_handlers import BlindHandlers
from app.images.grid_handlers import GridHandlers
from app.images.methods_handlers import MethodsHandlers
from app.images.overview_handlers import OverviewHandlers
from app.studio.steps import Steps
from app.widgets.batch_handlers import SAME
from tests.app.fakes import ME, image_studio

PANELS = {
    "overview": lambda s, boxes: OverviewHandlers(s).overview("robot", "A valley", 7, 1, *boxes),
    "methods": lambda s, boxes: MethodsHandlers(s).paint("robot", "A valley", 7, 1, *boxes, ME),
    "grid": lambda s, boxes: GridHandlers(s).paint(
        *("robot", [], "A valley", 7, 1.0), *boxes, *("strength", "-1 0 1", "", "")
    ),
    "batch": lambda s, boxes: ImageBatchHandlers(s).paint(
        "A valley", SAME, 0.5, "robot", [], 7, *boxes, ME
    ),
    "blind": lambda s, boxes: [BlindHandlers(s).draw("robot", [], *boxes)],
}


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_paints_in_the_chosen_steps(panel):
    studio = image_studio()
    assert list(PANELS[panel](studio, (4, 2.5, "0-1")))
    assert {steps for steps, _ in studio.pictures.kept} == {Steps(4, 2.5, (0, 1))}


@pytest.mark.parametrize("panel", PANELS)
def test_no_panel_paints_in_steps_that_there_are_not(panel):
    studio = image_studio()
    with pytest.raises(gr.Error, match="Give the first and the last step"):
        list(PANELS[panel](studio, (4, 2.5, "3-1")))
    assert not studio.pictures.kept
