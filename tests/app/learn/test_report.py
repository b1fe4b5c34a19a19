"""What the report of a job says to do next."""

import pytest

from app.learn.report import report
from lineas_core import AffineMap, SteeringMaps
from tests.app.fakes import MAPS


def _records(*heldout):
    return [{"iteration": 10 * k, "loss": 1.0, "heldout": h} for k, h in enumerate(heldout)]


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (
            _records(1.0, 0.4),
            "60% of the way to the target, on prompts that the map has not seen "
            "(held-out distance 1 → 0.4)",
        ),
        (_records(1.0, 0.9), "more iterations"),
        (_records(0.02, 0.015), "barely distinguishes"),
        (_records(1.0, 0.4, 0.5), "has risen since iteration 10"),
        (_records(None, None), "Hold some prompts out"),
    ],
)
def test_the_report_says_what_to_do_next(records, words):
    assert words in " ".join(report(records, MAPS))


def test_the_report_of_an_identity_says_so():
    assert any("lower γ" in line for line in report(_records(1.0, 1.0), _identity()))


def _identity():
    return SteeringMaps({"a": AffineMap.identity(3)})
