from pathlib import Path

import pytest

from lineas_core import AffineMap, SteeringMaps, load_maps, save_maps
from lineas_core.models.repositories import HubPlace
from lineas_core.storage import places
from lineas_core.storage.places import find_maps_here, hub_place, name_of_maps


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("owner/name", HubPlace("owner/name")),
        ("owner/name@v1.0", HubPlace("owner/name", "v1.0")),
        ("owner/name@refs/pr/1", HubPlace("owner/name", "refs/pr/1")),
        ("Owner_1/a.b-c", HubPlace("Owner_1/a.b-c")),
        ("name", None),
        ("./owner/name", None),
        ("../name", None),
        ("/owner/name", None),
        ("a/b/c", None),
        ("owner/name:0.5", None),
        ("owner/name@", None),
        ("owner/ name", None),
        ("https://hub/name", None),
    ],
)
def test_only_owner_and_name_are_a_place_of_the_hub(text, place):
    assert hub_place(text) == place
    if place:
        assert str(place) == text


def test_what_is_on_this_machine_is_no_place_of_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "name").mkdir(parents=True)
    assert hub_place("owner/name") is None
    assert hub_place(Path("owner/other")) is None
    assert hub_place("robot-emoji-world") is None
    assert find_maps_here("owner/name") == Path("owner/name")
    assert find_maps_here("owner/other") is None


def test_maps_have_the_name_of_their_folder_or_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert name_of_maps("owner/name@v1") == "name"
    assert name_of_maps("robot-emoji-world") == "robot-emoji-world"
    assert name_of_maps("a/b/c") == "c"
    assert name_of_maps(".") == tmp_path.name


def test_maps_of_the_page_have_their_titles_or_ids_as_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(places, "DATA", tmp_path / "data")
    assert find_maps_here("city-at-night") is None
    folders = {
        "City at night": tmp_path / "data" / "maps" / "city-1a2b",
        "Day": tmp_path / "data" / "jobs" / "20261130-120000-1a2b3c4d" / "map",
    }
    for title, folder in folders.items():
        save_maps(SteeringMaps({"a": AffineMap.identity(2)}, {"title": title}), folder)
    for name, title in (
        ("city-at-night", "City at night"),
        ("city-1a2b", "City at night"),
        ("day", "Day"),
        ("20261130-120000-1a2b3c4d", "Day"),
    ):
        assert find_maps_here(name) == folders[title]
        assert name_of_maps(name) == name
        assert load_maps(name).metadata["title"] == title
    for other in ("", "night", "maps/city-1a2b", Path("day"), "x" * 5000):
        assert find_maps_here(other) in (None, Path())
    save_maps(load_maps("day"), tmp_path / "data" / "maps" / "day-1a2b")
    assert find_maps_here("day") is None  # which one?
