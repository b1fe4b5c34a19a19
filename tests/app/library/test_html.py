import base64
from io import BytesIO
from pathlib import Path

import pytest
import torch
from PIL import Image

from app.library import html as library_html
from app.studio.maps import MapEntry
from app.studio.signs import Signs
from lineas_core import AffineMap, PromptSet, SteeringMaps

MARKUP = '"><img src=x onerror=alert(1)>'
PROMPTS = PromptSet((f"a {MARKUP}", "b"), (f"x {MARKUP}", "y", "z"))
FACTS = {
    "description": MARKUP,
    "keywords": [MARKUP],
    "date": MARKUP,
    "config": {MARKUP: MARKUP, "batch_size": None, "both_ways": True, "learning_rate": 0.02},
    "method": MARKUP,
    "modules": {MARKUP: 2},
    "heldout_start": 2.0,
    "heldout": 0.5,
}
STEP = AffineMap(torch.tensor([0.5, 1.0]), torch.tensor([0.1, 0.0]))
MAPS = SteeringMaps({MARKUP: STEP})


def _entry(map_id="mine", **changes):
    fields = {"title": MARKUP, "model": MARKUP, "origin": "yours", "metadata": FACTS}
    return MapEntry(id=map_id, folder=Path("unused"), **{**fields, **changes})


def _picture(file, color="red"):
    Image.new("RGB", (8, 8), color).save(file)
    return file


def test_no_markup_of_a_map_reaches_the_page():
    plain = {"modules": FACTS["modules"]}
    for entry in (_entry(MARKUP), _entry(MARKUP, metadata=plain)):
        for prompts in (PROMPTS, None):
            drawn = library_html.cards([(entry, [], prompts)], MARKUP)
            drawn += library_html.heading(entry, []) + library_html.sheet(entry, MAPS, prompts)
            assert "<img" not in drawn
            assert "&lt;img" in drawn
    assert "<img" not in library_html.published(f"https://hub/{MARKUP}")


def test_every_card_tells_its_map_and_the_chosen_one_is_marked():
    drawn = library_html.cards([(_entry("one"), [], None), (_entry("two"), [], None)], "two")
    assert 'data-map="one" aria-pressed="false"' in drawn
    assert 'data-map="two" aria-pressed="true"' in drawn


def test_a_card_shows_what_was_measured_else_how_much_it_steers():
    assert "75% of the way to the target" in library_html.cards([(_entry(), [], None)], None)
    unmeasured = _entry(metadata={"modules": {"a": 2, "b": 2}, "heldout": None})
    assert "2 modules" in library_html.cards([(unmeasured, [], None)], None)


def test_a_card_shows_pictures_from_the_least_to_the_fullest_strength(tmp_path):
    colors = ("red", "orange", "yellow", "green", "blue")
    pictures = [_picture(tmp_path / f"{k}.png", color) for k, color in enumerate(colors)]
    drawn = library_html.cards([(_entry(), pictures, PROMPTS)], None)
    assert [f'alt="Preview {k}"' in drawn for k in range(5)] == [True, False, True, False, True]
    assert library_html.heading(_entry(), pictures).count("data:image/jpeg") == 5


@pytest.mark.parametrize("content", [b"", b"<svg>", b"\x89PNG\r\n\x1a\n", None])
def test_a_broken_picture_leaves_the_others(tmp_path, content):
    broken = tmp_path / "broken.png"
    if content is not None:
        broken.write_bytes(content)
    drawn = library_html.heading(_entry(), [broken, _picture(tmp_path / "sound.png")])
    assert drawn.count("data:image/jpeg") == 1


def test_a_huge_picture_leaves_the_others(tmp_path, monkeypatch):
    huge = _picture(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 8)
    assert "data:image/jpeg" not in library_html.heading(_entry(), [huge])


def test_a_large_picture_is_shown_small(tmp_path):
    Image.new("RGB", (2000, 1000)).save(tmp_path / "large.png")
    _, _, rest = library_html.heading(_entry(), [tmp_path / "large.png"]).partition("base64,")
    with Image.open(BytesIO(base64.b64decode(rest.partition('"')[0]))) as image:
        assert max(image.size) <= 160


def test_offensive_prompts_are_on_no_card_and_folded_in_the_sheet():
    civil, rude = ("well", "good"), ("rude words", "ruder words")
    facts = {"modules": {"a": 2}}
    towards, away = (_entry(metadata=facts, signs=Signs(harmful=sign)) for sign in (1, -1))
    assert "rude" not in library_html.cards([(towards, [], PromptSet(civil, rude))], None)
    assert "rude" not in library_html.cards([(away, [], PromptSet(rude, civil))], None)
    assert "2 target prompts, offensive" in library_html.sheet(
        towards, MAPS, PromptSet(civil, rude)
    )
    shown = library_html.sheet(away, MAPS, PromptSet(rude, civil))
    assert "<details><summary>2 source prompts, offensive</summary>" in shown
    assert "2 target prompts</summary>" in shown


def test_a_sheet_tells_preset_settings_and_that_prompts_are_missing():
    names = [f"model.layers.{k}.post_attention_layernorm" for k in range(2)]
    drawn = library_html.sheet(_entry(), SteeringMaps(dict.fromkeys(names, STEP)), None)
    assert "2 (post-layernorms)" in drawn
    assert "<dt>Batch size</dt><dd>all prompts</dd>" in drawn
    assert "<dt>Both ways</dt><dd>yes</dd>" in drawn
    assert "<dt>Learning rate</dt><dd>0.02</dd>" in drawn
    assert "shared without its prompts" in drawn
    assert "(no preset)" in library_html.sheet(_entry(), MAPS, None)
