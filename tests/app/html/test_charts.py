"""Charts as SVG."""

from app.html import charts
from tests.app.fakes import MAPS, RECORDS


def test_pictures_show_every_module_and_escape_its_name():
    drawing = charts.modules(MAPS)
    assert drawing.count("<rect") == 3
    assert "<img" not in drawing


def test_a_curve_needs_records():
    assert charts.curve([], 10) == ""
    assert 'class="heldout dot"' in charts.curve(RECORDS, 4)
