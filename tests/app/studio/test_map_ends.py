"""What both ends of the strength λ do, as the page names them."""

import pytest

from app.studio.maps import read_map
from lineas_core import PromptSet, save_maps
from tests.app.fakes import MAPS, PROMPTS


def _prompts(keyword, *, source, **fields):
    sides = ((f"a {keyword}", f"my {keyword}"), ("a hill", "a lake"))
    return PromptSet(*(sides if source else sides[::-1]), keywords=(keyword,), **fields)


@pytest.mark.parametrize(
    ("prompts", "kind", "ends"),
    [
        (_prompts("robot", source=True), "text-to-image", ("more robot", "no robot")),
        (_prompts("robot", source=False), "text-to-image", ("less robot", "more robot")),
        (_prompts("robot", source=False), "language", ("less robot", "more robot")),
        (_prompts("robot", source=True), "language", ("more robot", "less robot")),
        (PROMPTS, "language", ("towards the source prompts", "towards the target prompts")),
        (
            PromptSet(("you stupid idiot", "shut up, idiot"), ("good day", "hello")),
            "language",
            ("more offensive", "less offensive"),
        ),
    ],
)
def test_the_ends_are_named_after_what_the_prompts_show(tmp_path, prompts, kind, ends):
    maps = type(MAPS)(MAPS.maps, {"title": "Robot", "kind": kind})
    save_maps(maps, tmp_path, prompts=prompts)
    assert read_map("robot", "yours", tmp_path).ends == ends


@pytest.mark.parametrize(
    ("title", "concept"),
    [("A balloon", "balloon"), ("an Owl", "owl"), ("The moon", "moon"), ("Atlas", "atlas")],
)
def test_an_article_in_the_title_does_not_follow_more_or_no(tmp_path, title, concept):
    maps = type(MAPS)(MAPS.maps, {"title": title, "kind": "text-to-image"})
    save_maps(maps, tmp_path, prompts=_prompts(concept, source=True))
    assert read_map("it", "yours", tmp_path).ends == (f"more {concept}", f"no {concept}")


def test_a_map_without_prompts_has_general_ends(tmp_path):
    save_maps(MAPS, tmp_path)
    towards_source, towards_target = read_map("mine", "yours", tmp_path).ends
    assert ("source" in towards_source, "target" in towards_target) == (True, True)
