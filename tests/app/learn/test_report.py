"""What the report of a job says to do next."""

from pathlib import Path

import pytest

from app.html import maps as map_html
from app.learn.report import report
from app.library import html as library_html
from app.studio.maps import MapEntry
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


@pytest.mark.parametrize(
    ("heldout", "ended_early", "verdict"),
    [
        ((1.0, 1.2), False, "does not help yet"),  # the best one is that before learning
        ((1.0, 1.2), True, "does not help yet"),
        ((1.0, 0.85, 0.95), False, "has overfitted"),
        ((1.0, 0.85, 0.95), True, "effect is small"),
        ((1.0, 0.4, 0.5), True, ""),
    ],
)
def test_there_is_one_verdict_and_none_of_overfitting_on_a_run_that_ended_early(
    heldout, ended_early, verdict
):
    told = " ".join(report(_records(*heldout), MAPS, ended_early=ended_early))
    verdicts = ("does not help yet", "has overfitted", "effect is small")
    assert [each for each in verdicts if each in told] == [verdict] * bool(verdict)


def test_a_worse_distance_is_told_in_the_same_words_everywhere():
    facts = {"heldout_start": 1.0, "heldout": 1.2, "modules": {"a": 2}}
    entry = MapEntry("mine", "Mine", "smollm2-135m", "yours", Path("nowhere"), facts)
    told = (
        report(_records(1.0, 1.2), MAPS)[0].lower(),
        map_html.summary(entry),
        library_html.cards([(entry, [], None)], None),
    )
    assert all("further from the target" in each for each in told)


def test_the_report_of_an_identity_says_so():
    assert any("lower γ" in line for line in report(_records(1.0, 1.0), _identity()))


def _identity():
    return SteeringMaps({"a": AffineMap.identity(3)})
