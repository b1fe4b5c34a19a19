from dataclasses import replace

import pytest

from app.images.follow_handlers import FollowHandlers
from app.images.handlers import ImageHandlers
from tests.app.fakes import ME, image_studio, is_skip, requested


@pytest.fixture
def studio():
    return image_studio()


def _values(studio, map_id, sha256):
    """Give a map other values."""
    (place,) = [k for k, entry in enumerate(studio.entries) if entry.id == map_id]
    studio.entries[place] = replace(studio.entries[place], metadata={"sha256": sha256})


def test_pictures_follow_a_map_while_it_is_being_learnt(studio):
    handlers = FollowHandlers(studio, ImageHandlers(studio))
    studio.learning.add("mine")
    _values(studio, "mine", "1")
    chosen = handlers.follow("mine", "", ME)
    assert is_skip(chosen.request)  # choosing it has started a picture already
    assert chosen.timer.active
    same = handlers.follow("mine", chosen.version, ME)
    assert is_skip(same.request)
    assert same.timer.active

    _values(studio, "mine", "2")
    better = handlers.follow("mine", same.version, ME)
    assert isinstance(better.request, int)
    assert "still being learnt" in better.summary

    studio.learning.clear()
    _values(studio, "mine", "3")
    last = handlers.follow("mine", better.version, ME)
    assert last.request > better.request
    assert not last.timer.active
    assert "still being learnt" not in last.summary


def test_a_map_that_is_learnt_is_not_followed(studio):
    followed = FollowHandlers(studio, ImageHandlers(studio)).follow("robot", None, ME)
    assert is_skip(followed.request)
    assert is_skip(followed.summary)
    assert not followed.timer.active


def test_a_map_that_has_been_deleted_elsewhere_is_not_followed_any_more(studio):
    handlers = FollowHandlers(studio, ImageHandlers(studio))
    studio.learning.add("mine")
    version = handlers.follow("mine", "", ME).version
    studio.entries = [entry for entry in studio.entries if entry.id != "mine"]
    followed = handlers.follow("mine", version, ME)
    assert not followed.timer.active
    assert is_skip(followed.request)


def test_a_look_at_a_map_that_is_no_longer_chosen_changes_nothing(studio, monkeypatch):
    """Its answer could come after that to the choice, and described the map before."""
    pictures = ImageHandlers(studio)
    handlers = FollowHandlers(studio, pictures)
    studio.learning.add("mine")
    _values(studio, "mine", "1")
    version = handlers.follow("mine", "", ME).version
    _values(studio, "mine", "2")

    quick = studio.user_maps.is_learning

    def slow(entry):
        monkeypatch.setattr(studio.user_maps, "is_learning", quick)
        with requested():
            pictures.choose("robot", "")  # meanwhile
        return entry.id in studio.learning

    monkeypatch.setattr(studio.user_maps, "is_learning", slow)
    assert all(map(is_skip, handlers.follow("mine", version, ME)))
    assert pictures.requests.latest(ME) == 0
