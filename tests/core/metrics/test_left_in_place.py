import math

import numpy as np
import pytest
from PIL import Image

from lineas_core.metrics import left_in_place as judge
from lineas_core.metrics.left_in_place import (
    astray,
    cast,
    kept,
    left_in_place,
    moved,
    trace,
    way,
    way_in_features,
)

_SIDE = 64


def _scene(seed=0):
    """A sky over a meadow, with some texture."""
    rng = np.random.default_rng(seed)
    pixels = np.full((_SIDE, _SIDE, 3), (120, 170, 220), dtype=float)
    pixels[_SIDE // 2 :] = (90, 160, 70)
    return pixels + rng.normal(0, 4, pixels.shape)


def _picture(pixels):
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))


def _with_object(pixels, colour=(200, 30, 40), opacity=1.0):
    painted = pixels.copy()
    place = painted[34:50, 10:34]
    place[:] = (1 - opacity) * place + opacity * np.array(colour)
    return painted


@pytest.fixture
def b():
    return _picture(_scene())


@pytest.fixture
def a():
    return _picture(_with_object(_scene()))


def test_untouched_is_one_and_gone_is_nothing(a, b):
    assert left_in_place([a, a], [b, b], [a, b]) == pytest.approx([1, 0], abs=1e-6)
    assert trace([a, a], [b, b], [a, b]) == pytest.approx([1, 0], abs=1e-6)


@pytest.mark.parametrize("opacity", [0.1, 0.38, 0.75])
def test_a_ghost_counts_as_much_as_it_is_opaque(a, b, opacity):
    ghost = _picture(_with_object(_scene(), opacity=opacity))
    assert left_in_place([a], [b], [ghost]) == pytest.approx([opacity], abs=0.01)
    assert trace([a], [b], [ghost]) == pytest.approx([opacity], abs=0.01)


def test_half_an_object_is_half_left(a, b):
    half = np.asarray(a).copy()
    half[34:50, 22:34] = np.asarray(b)[34:50, 22:34]
    assert left_in_place([a], [b], [Image.fromarray(half)])[0] == pytest.approx(0.5, abs=0.02)


def _with_subject(pixels, left):
    """A subject that an object of `_with_object` hides in part wherever this is below 34."""
    painted = pixels.copy()
    painted[28:50, left : left + 20] = (250, 240, 60)
    painted[28:36, left : left + 20 : 4] = (20, 20, 60)
    return painted


@pytest.mark.parametrize("opacity", [0.0, 0.25, 0.5, 1.0])
def test_a_subject_that_stands_elsewhere_is_no_object(opacity):
    there, here = _with_subject(_scene(), 20), _with_subject(_scene(), 28)
    a, b, s = _with_object(here), there, _with_object(here, opacity=opacity)
    a, b, s = map(_picture, (a, b, s))
    c = _picture(_with_object(here, (30, 60, 220)))
    assert left_in_place([a], [b], [s], other=[c]) == pytest.approx([opacity], abs=0.05)
    assert left_in_place([a], [b], [_picture(there)], other=[c]) == pytest.approx([0], abs=0.01)


def test_a_stain_of_another_colour_leaves_a_trace_but_not_the_object(b):
    meadow = np.array((90.0, 160.0, 70.0))
    a = _picture(_with_object(_scene(), meadow + (90, -90, 0)))
    stain = _picture(_with_object(_scene(), meadow + (40, 40, 100)))
    (left,), (seen,) = left_in_place([a], [b], [stain]), trace([a], [b], [stain])
    assert abs(left) < judge.VISIBLE < 0.5 < seen


def test_what_happens_elsewhere_is_no_object_but_a_cast(a, b):
    tinted = np.asarray(b, dtype=float).copy()
    tinted[:, 40:] += 12
    tinted = _picture(tinted)
    assert left_in_place([a], [b], [tinted])[0] == pytest.approx(0, abs=1e-6)
    outside = _SIDE**2 - 16 * 24
    assert cast([a], [b], [tinted])[0] == pytest.approx(12 * 24 * _SIDE / outside, rel=0.01)
    assert cast([a, a], [b, b], [a, b]) == pytest.approx([0, 0], abs=1e-6)


def test_a_subject_that_fades_is_hardly_a_cast_but_not_kept():
    scene = _scene()
    subject, faded = scene.copy(), scene.copy()
    subject[8:20, 44:56] = (250, 240, 60)
    faded[8:20, 44:56] = 0.5 * scene[8:20, 44:56] + 0.5 * np.array((250, 240, 60))
    b, s = _picture(subject), _picture(faded)
    a = _picture(_with_object(subject))
    assert kept([a], [b], [b]) == pytest.approx([1], abs=1e-5)
    assert 0.45 < kept([a], [b], [s])[0] < 0.75
    assert cast([a], [b], [s])[0] < 4


def test_moved_is_the_mean_change_of_255(b):
    brighter = _picture(np.asarray(b, dtype=float) + 5)
    assert moved([b, b], [b, brighter]) == pytest.approx([0, 5], abs=1e-4)


def test_no_object_no_figure(b):
    slightly = _picture(np.asarray(b, dtype=float) + 5)
    dot = np.asarray(b).copy()
    dot[5, 5] = 255 - dot[5, 5]
    for a in (b, slightly, Image.fromarray(dot)):
        assert math.isnan(left_in_place([a], [b], [b])[0])
        assert math.isnan(trace([a], [b], [b])[0])


def test_an_object_that_fills_the_picture_has_no_elsewhere(b):
    a = _picture((np.asarray(b, dtype=float) + 128) % 256)
    s = _picture(np.full((_SIDE, _SIDE, 3), 128.0))
    assert cast([a], [b], [s]) == [0]


def test_the_way_is_measured_over_the_whole_picture(a, b):
    middle = _picture((np.asarray(a, dtype=float) + np.asarray(b, dtype=float)) / 2)
    assert way([a] * 3, [b] * 3, [a, middle, b]) == pytest.approx([0, 0.5, 1], abs=0.01)
    assert math.isnan(way([a], [a], [b])[0])


def test_the_way_in_features_ends_at_the_picture_without_the_look():
    pixels = _scene()
    a = _picture(255 - pixels)
    faint = _picture(0.3 * pixels + 0.7 * (255 - pixels))
    b = _picture(pixels)
    start, some, end = way_in_features([a] * 3, [b] * 3, [a, faint, b])
    assert (start, end) == pytest.approx((0, 1), abs=1e-4)
    assert start < some < end
    assert astray([a] * 2, [b] * 2, [a, b]) == pytest.approx([1, 0], abs=1e-4)
    assert math.isnan(astray([a], [a], [b])[0])


def test_pictures_of_different_sizes_are_refused(a, b):
    with pytest.raises(ValueError, match="one by one"):
        left_in_place([a], [b], [b.resize((32, 32))])
    with pytest.raises(ValueError, match="one by one"):
        moved([a, a], [b])
