"""The prompts that are shipped, as the app reads them; see test_prompts.py for `PromptSet`."""

from pathlib import Path

import pytest

from app.studio.prompts import PromptLibrary
from lineas_core import UserError
from lineas_core.prompts.matching import are_matched


@pytest.fixture
def prompts():
    return PromptLibrary(Path(__file__).parents[3] / "prompts")


def test_every_shipped_set_can_be_loaded(prompts):
    texts, pictures = prompts.sets("language"), prompts.sets("text-to-image")
    assert "football" in texts
    assert "robot" in pictures
    for stem, title in (texts | pictures).items():
        assert prompts.set_of(stem).name == title
    with pytest.raises(UserError, match="no such set"):
        prompts.set_of("../football")


def test_ten_of_the_shipped_concepts_are_styles(prompts):
    kinds = [prompts.set_of(stem).kind for stem in prompts.sets("text-to-image")]
    assert (kinds.count("style"), kinds.count("thing")) == (10, 5)
    kinds = [prompts.set_of(stem).kind for stem in prompts.sets("language")]
    assert (kinds.count("topic"), kinds.count("manner")) == (5, 1)
    assert prompts.about("pop art", "style", "text-to-image").kind == "style"
    assert prompts.about("a drum", "thing", "text-to-image").kind == "thing"
    assert prompts.about("chess", "about", "language").kind == "topic"


def test_a_set_about_one_thing_has_a_third_held_out(prompts):
    removal = prompts.about("a lighthouse", "thing", "text-to-image", remove=True)
    topic = prompts.about("chess", "about", "language")
    assert (len(removal.source), len(topic.target)) == (55, 34)
    assert (len(removal.heldout_source), len(topic.heldout_target)) == (27, 16)
    assert are_matched(removal.source, removal.target)
    assert all("lighthouse" in text for text in removal.source + removal.heldout_source)
    assert removal.keywords[0] == "with a lighthouse"
    assert all("chess" in text.lower() for text in topic.target)
