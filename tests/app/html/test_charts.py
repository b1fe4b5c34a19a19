"""Charts as SVG."""

import re

import torch

from app.html import charts
from lineas_core import AffineMap, LowRankMap, SteeringMaps
from tests.app.fakes import MAPS, RECORDS


def test_pictures_show_every_module_and_escape_its_name():
    drawing = charts.modules(MAPS)
    assert drawing.count("<rect") == 3
    assert "<img" not in drawing


def test_bars_keep_their_proportions_where_the_inverse_moves_more():
    maps = SteeringMaps({"a": AffineMap(torch.full((2,), 0.5), torch.ones(2)), **MAPS})
    for strength in (-1.0, 1.0):
        drawn = re.findall(
            r'height="([\d.]+)"><title>.*?: ([\d.]+)<', charts.modules(maps, strength)
        )
        per_chart = [drawn[k : k + len(maps)] for k in range(0, len(drawn), len(maps))]
        for bars in per_chart:
            ratios = {
                round(float(value) / float(height), 3) for height, value in bars if value != "0"
            }
            assert len(ratios) == 1


def test_of_maps_that_mix_coordinates_is_drawn_what_there_is_to_draw():
    low = LowRankMap(torch.eye(4)[:, :1], torch.ones(1, 4), torch.zeros(1))
    drawing = charts.modules(SteeringMaps({"a": low}))
    assert "share of coordinates moved" in drawing
    assert "shift" not in drawing
    assert "no coordinate has a curve" in charts.transport(SteeringMaps({"a": low}), 0.5)
    mixed = SteeringMaps({"low": low, **MAPS})
    assert charts.modules(mixed).count("<rect") == charts.modules(MAPS).count("<rect") + 1
    assert charts.transport(mixed, 0.5) == charts.transport(MAPS, 0.5)


def test_a_curve_needs_records():
    assert charts.curve([], 10) == ""
    assert 'class="heldout dot"' in charts.curve(RECORDS, 4)
