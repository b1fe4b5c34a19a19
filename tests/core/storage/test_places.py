from pathlib import Path

import pytest

from lineas_core.models.repositories import HubPlace
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
