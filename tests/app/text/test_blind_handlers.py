"""The blind choice of texts, without a page."""

from dataclasses import replace

import pytest

from app.studio.signs import Signs
from app.studio.votes import Votes
from app.text import blind_handlers
from app.text.blind_handlers import BlindTextHandlers
from tests.app.fakes import MARKUP, is_skip, text_studio


@pytest.fixture
def studio(tmp_path, monkeypatch):
    """A studio in which a topic was learnt with several methods."""
    studio = text_studio()
    first = studio.entries[0]
    others = [
        replace(first, id=name, metadata={**first.metadata, "method": name, "sha256": name})
        for name in ("iti-c", "lin-act", "caa")
    ]
    studio.entries += others
    studio.text_votes = Votes(tmp_path / "text-votes.jsonl")
    monkeypatch.setattr(blind_handlers, "siblings", lambda entry, _: [entry, *others])
    monkeypatch.setattr(blind_handlers, "usable", lambda entries: ([*entries], ""))
    return studio


def _draw(handlers, map_id="topic"):
    *_, drawn = handlers.draw(map_id, 20, 1.0)
    return drawn


def test_the_methods_of_the_paper_write_and_the_letters_tell_nothing(studio):
    drawn = _draw(BlindTextHandlers(studio))
    assert sorted(drawn.draw["order"]) == ["iti-c", "lin-act", "lineas", "original"]
    assert drawn.texts.count("<article") == 4
    assert "and most coherent?" in drawn.texts
    for tell in (MARKUP, "λ", "LinEAS", "ITI", "toxicity"):
        assert tell not in drawn.texts


def test_a_vote_counts_for_its_method_once(studio):
    handlers = BlindTextHandlers(studio)
    drawn = _draw(handlers)
    place = drawn.draw["order"].index("lin-act")
    answer = handlers.answer(place, drawn.draw, drawn.shown)
    assert f"{'ABCD'[place]} was by Lin-AcT at λ = +1" in answer.verdict
    handlers.answer(place, None, drawn.shown)  # a second click
    handlers.answer(place, _draw(handlers).draw, drawn.shown)  # amid the next drawing
    (preference,) = studio.text_votes.preferences()
    assert preference.picked == {"original": 0, "lineas": 0, "iti-c": 0, "lin-act": 1}


def test_a_vote_counts_once_and_takes_nothing_from_the_next_texts(studio):
    handlers = BlindTextHandlers(studio)
    drawn = _draw(handlers)
    handlers.answer(0, drawn.draw, drawn.shown)
    handlers.answer(1, drawn.draw, drawn.shown)  # the page has not heard of the first answer yet
    assert sum(each.decided for each in studio.text_votes.preferences()) == 1

    drawn = _draw(handlers)
    add = studio.text_votes.add
    studio.text_votes.add = lambda vote: (add(vote), _draw(handlers))
    assert all(map(is_skip, handlers.answer(0, drawn.draw, drawn.shown)[:3]))


def test_shares_come_from_five_votes_on(studio):
    handlers = BlindTextHandlers(studio)
    for count in range(1, 6):
        drawn = _draw(handlers)
        place = drawn.draw["order"].index("lineas")
        told = handlers.answer(place, drawn.draw, drawn.shown).preferences
        assert ("100% (57% to 100%)" in told) == (count == 5)
    assert "0% (0% to 43%)" in told


def test_a_lone_map_is_compared_with_the_original_and_never_towards_harm(studio, monkeypatch):
    monkeypatch.setattr(blind_handlers, "siblings", lambda entry, _: [entry])
    studio.entries[1] = replace(studio.entries[1], signs=Signs(harmful=1))
    drawn = _draw(BlindTextHandlers(studio), "toxic")
    assert drawn.draw["maps"] == {"lineas": ("toxic", -1.0)}
    assert drawn.texts.count("<article") == 2
    assert "least toxic" in drawn.texts
    assert not drawn.c.visible
