"""The grid, without a page."""

from types import SimpleNamespace

import gradio as gr
import pytest
from gradio import Error

from app.images.controls import Controls
from app.images.grid_handlers import GridHandlers
from app.images.grid_panel import grid_panel
from app.images.steps_boxes import steps_boxes
from tests.app.fakes import USUAL, image_studio, is_skip, requested


def _paint(handlers, *axes):
    return [*handlers.paint("robot", [], "a hill", 7, 1.0, *USUAL, *axes)]


def test_a_grid_is_painted_batch_by_batch_in_the_order_of_its_cells():
    studio = image_studio()
    views = _paint(GridHandlers(studio), "strength", "-1 0 1", "seed", "1-2")
    assert [view.table.count("<img") for view in views] == [3, 6]
    assert "3 more to paint" in views[0].description
    assert "6 pictures" in views[1].description
    assert studio.pictures.batches == [[(-1,), (0,), (1,)]] * 2
    order = [views[1].table.index(f'alt="{label}"') for label in ("seed 1 λ -1", "seed 2 λ +1")]
    assert order == sorted(order)


def test_the_table_is_sent_at_most_once_per_row():
    views = _paint(GridHandlers(image_studio()), "seed", "1-3", "strength", "0 1")
    tables = [view.table.count("<img") for view in views if not is_skip(view.table)]
    assert tables == [3, 6]
    assert len(views) > len(tables)
    assert "5 more to paint" in views[0].description


def test_labels_are_escaped():
    views = _paint(GridHandlers(image_studio()), "prompt", '<b onclick="x">', "", "")
    assert "<b onclick" not in views[-1].table
    assert "&lt;b onclick=&quot;x&quot;&gt;" in views[-1].table


def test_a_wrong_value_is_told_and_nothing_is_painted():
    studio = image_studio()
    with pytest.raises(Error, match="λ is 3"):
        _paint(GridHandlers(studio), "strength", "3", "seed", "1")
    assert not studio.pictures.batches


def test_an_axis_is_filled_with_values_of_the_page():
    handlers = GridHandlers(image_studio())
    assert handlers.values("0.5", "seed", "robot", [], "a hill", 7, 1.0) == ["0.5", "7-11"]
    assert handlers.values("0.5", "seed", None, [], "a hill", 7, 1.0) == ["0.5", ""]


def test_what_was_typed_stays_when_the_panel_is_opened_again():
    handlers = GridHandlers(image_studio())
    settings = ("seed", "robot", [], "a hill", 7, 1.0)
    for typed in (None, " "):
        assert handlers.first_values(typed, *settings) == [typed, "7-11"]
    assert is_skip(handlers.first_values("3, 7", *settings))


def test_the_first_values_of_an_axis_do_not_replace_those_of_a_later_choice():
    """The panel was opened and the axis changed before the server had answered."""
    shown = []

    def first_values(*_):
        shown.append(values("", "seed"))  # meanwhile
        return "-1, 0, 1"

    handlers = SimpleNamespace(
        values=lambda _, axis, *__: axis, first_values=first_values, paint=print
    )
    with gr.Blocks() as demo:
        boxes = gr.Dropdown(), gr.Slider(), gr.Textbox(), gr.Number(), gr.State()
        grid_panel(handlers, Controls(*boxes), gr.State(), steps_boxes())
    values, first, *_ = (event.fn for event in demo.fns.values() if event.fn)
    with requested():
        assert is_skip(first("", "strength"))
    assert shown == ["seed"]
