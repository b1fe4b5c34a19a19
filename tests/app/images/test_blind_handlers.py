"""The blind choice, without a page."""

from app.images.blind_handlers import BlindHandlers
from app.studio.votes import Votes
from tests.app.fakes import image_studio, is_skip


def test_a_blind_choice_tells_nothing_before_and_is_counted_after(tmp_path):
    studio = image_studio()
    studio.votes = Votes(tmp_path / "votes.jsonl")
    handlers = BlindHandlers(studio)
    pair, key, *images, _question, _, _, verdict = handlers.draw("robot", [])
    assert verdict == ""
    assert all(not image.info for image in images)
    steered = images["AB".index(pair["steered"])]
    assert steered.getpixel((0, 0)) > 100
    handlers.answer(pair["steered"], pair, key)
    (preference,) = studio.votes.preferences()
    assert preference.picked == {"steered": 1, "original": 0}
    handlers.answer("A", None, key)  # a second click
    handlers.answer("A", handlers.draw("robot", []).pair, key)  # amid the next drawing
    assert studio.votes.preferences()[0].decided == 1


def test_a_vote_counts_once_and_takes_nothing_from_the_next_pair(tmp_path):
    """Two clicks before the answer were two votes; a late answer hid the next pair's buttons."""
    studio = image_studio()
    studio.votes = Votes(tmp_path / "votes.jsonl")
    handlers = BlindHandlers(studio)
    pair, key, *_ = handlers.draw("robot", [])
    handlers.answer("A", pair, key)
    handlers.answer("B", pair, key)  # the page has not heard of the first answer yet
    assert studio.votes.preferences()[0].decided == 1

    pair, key, *_ = handlers.draw("robot", [])
    add, later = studio.votes.add, []
    studio.votes.add = lambda vote: (add(vote), later.append(handlers.draw("robot", [])))
    late = handlers.answer("A", pair, key)
    assert all(map(is_skip, late[:3]))
    assert studio.votes.preferences()[0].decided == 2
    handlers.answer("A", later[0].pair, later[0].shown)
    assert studio.votes.preferences()[0].decided == 3


def test_a_share_is_given_from_five_decided_votes_on(tmp_path):
    studio = image_studio()
    studio.votes = Votes(tmp_path / "votes.jsonl")
    handlers = BlindHandlers(studio)
    for _ in range(4):
        pair = handlers.draw("robot", []).pair
        told = handlers.answer(pair["steered"], pair, pair["key"]).preferences
    assert "<b>4</b> of 4<" in told
    pair = handlers.draw("robot", []).pair
    told = handlers.answer("B" if pair["steered"] == "A" else "A", pair, pair["key"]).preferences
    assert "<b>4</b> of 5, 80% (38% to 96%)" in told
