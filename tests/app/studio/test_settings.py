"""What a result depends on, and the link that leads back to it."""

import math
import re
from dataclasses import fields
from urllib.parse import quote

import pytest

from app.studio.settings import Settings
from app.studio.steps import Steps
from lineas_core import UserError
from lineas_core.paths import ASSETS

MARKUP = "<img src=x onerror=alert(1)>"
SETTINGS = [
    Settings(["robot"], [0.35], "A valley", 7),
    Settings(["robot", "mine"], [-1, 0.05], "浮世絵 & 100 % of #1?\nnext line", 2**53),
    Settings(["a"], [1e-9], MARKUP, 0, length=12, temperature=0.7, chat=True),
    Settings(["a"], [0.1 + 0.2]),
    Settings(["a"], [1], "A valley", 7, steps=4, guidance=2.5),
    Settings(["a"], [1], "A valley", 7, steer_steps=(1, 3)),
    Settings(["a"], [1], "A valley", 7, steer_steps="2"),
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_link_leads_back_to_the_same_settings(settings):
    back = Settings.from_link(settings.query[1:])
    assert back.strengths == pytest.approx(settings.strengths)
    for field in fields(Settings):
        if field.name != "strengths":
            assert getattr(back, field.name) == getattr(settings, field.name)


def test_the_address_of_the_page_has_every_setting_once():
    script = (ASSETS / "scripts" / "show_address.js").read_text(encoding="utf-8")
    listed = re.search(r"ours = \[(.*?)\];", script, re.DOTALL)[1]
    replaced = re.findall(r'"(\w+)"', listed)
    names = [field.name.removesuffix("s") for field in fields(Settings)]
    assert sorted(name.removesuffix("s") for name in replaced) == sorted(names)


def test_a_link_says_no_more_than_it_must():
    assert SETTINGS[0].query == "?map=robot&strength=0.35&seed=7&prompt=A%20valley"


def test_a_range_of_steps_is_written_as_it_is_typed():
    assert SETTINGS[5].query.endswith("&steer_steps=1-3")
    assert SETTINGS[6].query.endswith("&steer_steps=2")
    assert SETTINGS[6].denoising == Steps(steered=(2, 2))


def test_half_a_surrogate_pair_does_not_break_a_link():
    assert Settings.from_link(Settings(["a"], [1], "x\ud83e").query[1:]).prompt == "x?"


@pytest.mark.parametrize("query", ["", "__theme=dark", "view=api&&=", "%%%", "&" * 9])
def test_an_address_that_asks_for_nothing_is_none(query):
    assert Settings.from_link(query) is None


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("map=a&strength=nan", "λ is nan"),
        ("map=a&strength=1e999", "λ is inf"),
        ("map=a&strength=-1.01", "λ is -1.01"),
        ("map=a&strength=0x1", "strength is '0x1'"),
        ("map=a", "0 strengths were given for 1 maps"),
        ("map=a&strength=1&strength=1", "2 strengths were given for 1 maps"),
        ("strength=1", "0 maps were given"),
        ("prompt=a", "0 maps were given"),
        ("map=a&strength=1" * 4, "3 strengths|maps|strength is"),
        ("&".join(["map=a&strength=1"] * 4), "4 maps were given"),
        ("map=a&strength=1&seed=1.5", "seed is '1.5'"),
        ("map=a&strength=1&seed=-1", "seed is -1"),
        ("map=a&strength=1&seed=" + "9" * 9999, "seed is '999"),
        ("map=a&strength=1&seed=1e300", "seed is 1000"),
        ("map=a&strength=1&steps=0", "number of steps is 0"),
        ("map=a&strength=1&steps=1.5", "steps is '1.5'"),
        ("map=a&strength=1&guidance=nan", "guidance is nan"),
        ("map=a&strength=1&steer_steps=1-x", "steered steps are '1-x'"),
        ("map=a&strength=1&steer_steps=1-0", "steered steps are '1-0'"),
        ("map=a&strength=1&steer_steps=100", "step is 100"),
        ("map=a&strength=1&length=0", "length is 0"),
        ("map=a&strength=1&temperature=nan", "temperature is nan"),
        ("map=a&strength=1&chat=yes", "chat is 'yes'"),
        ("map=a&strength=1&prompt=+", "the prompt is empty"),
        ("map=a&strength=1&prompt=" + "x" * 2001, "2,001 characters"),
        ("map=a&strength=1&prompt=" + "x" * 1_000_000, "1,000,024 characters"),
        ("map=a" + "&x=1" * 60, "more than 50 parts"),
    ],
)
def test_a_broken_link_is_one_short_sentence(query, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        Settings.from_link(query)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("strength", [math.nan, math.inf, True, "1", None, [0.5]])
def test_settings_are_checked_whoever_they_come_from(strength):
    with pytest.raises(UserError, match="λ is"):
        Settings(["a"], [strength])


def test_a_long_prompt_in_any_script_still_fits_into_a_link():
    settings = Settings(["a"], [1], "🦊" * 2000)
    assert Settings.from_link(settings.query[1:]) == settings
    assert quote("🦊") in settings.query


def test_a_prompt_is_compared_and_copied_as_it_is_made():
    assert Settings(["a"], [1], "a castle ") == Settings(["a"], [1], "a castle")
