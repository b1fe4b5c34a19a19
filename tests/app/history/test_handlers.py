"""What brings settings back, as plain functions, with a studio that paints at once."""

import html
import json
import re
from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from app.history.handlers import HistoryHandlers
from app.history.html import Tile, earlier
from app.images.handlers import ImageHandlers
from app.images.mix_handlers import MixHandlers
from app.studio.settings import Settings
from app.studio.steps import Steps, checked_steps
from app.studio.studio import Studio
from app.text.handlers import TextHandlers
from app.ui import build_demo
from lineas_core.models.denoising import Denoising
from lineas_core.pictures import Recipe, save_png
from tests.app.fakes import MARKUP, image_studio, is_skip

HOME = "http://localhost:7860/"
PICTURES = slice(2, 18)  # of what `open` answers
TEXTS = slice(18, 26)


@pytest.fixture
def studio():
    return image_studio()


@pytest.fixture
def handlers(studio):
    return HistoryHandlers(studio, MixHandlers(studio).show)


@pytest.fixture
def user_errors(monkeypatch):
    told = []
    monkeypatch.setattr(gr, "Warning", lambda text, title: told.append(f"{title}: {text}"))
    return told


def _png(tmp_path, recipe):
    return str(save_png(Image.new("RGB", (8, 8)), tmp_path / "a.png", recipe))


def _recipe(maps, prompt="A valley", seed=7, model="small"):
    return Recipe(prompt, seed, model, 8, "LCMScheduler", maps)


def test_a_link_opens_its_tab_with_all_that_it_names(handlers, user_errors):
    settings = Settings(["mine", "robot"], [0.35, -1], "A valley", 7, steps=4, steer_steps=(0, 1))
    tab, home, *shown = handlers.open(f"{HOME}{settings.query}&__theme=dark#x")
    assert (tab, home) == ("text-to-image", HOME)
    menu, *values = shown[:6]
    assert menu.value == "mine"
    strength, prompt, *values = values
    assert is_skip(prompt)  # comes with its map
    assert [strength, *values] == [0.35, 7, ["mine", "A valley"], [("robot", -1)]]
    assert shown[6:9] == [4, None, "0-1"]
    rows = shown[9:16]
    assert [rows[0].visible, rows[1].value, rows[2]] == [True, "robot", -1]
    assert not rows[3].visible
    assert all(map(is_skip, shown[16:]))  # the other tab stays, and asks no model for work
    assert user_errors == []


def test_a_link_to_a_text_leaves_the_pictures_alone(handlers):
    settings = Settings(["topic"], [0.5], "Once", 3, length=9, temperature=0.2, chat=True)
    answer = handlers.open(HOME + settings.query)
    assert answer[0] == "language"
    assert all(map(is_skip, answer[PICTURES]))
    menu, *values = answer[TEXTS]
    assert menu.value == "topic"
    strength, prompt, *values = values
    assert is_skip(prompt)
    assert [strength, *values] == [0.5, 3, ["topic", "Once"], 9, 0.2, True]


def test_an_address_that_asks_for_nothing_opens_the_usual_page(handlers, user_errors):
    tab, _, menu, *others = handlers.open(f"{HOME}?__theme=dark")
    assert (tab, menu.value) == ("text-to-image", "robot")
    assert all(map(is_skip, others))
    assert user_errors == []


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("map=gone&strength=1", "no such map"),
        ("map=robot&strength=nan", "λ is nan"),
        ("map=robot&strength=1e999", "λ is inf"),
        ("map=robot&strength=1&map=topic&strength=1", "maps are of different models"),
        ("map=topic&strength=1&map=topic&strength=1", "A text can be steered by one map only"),
        ("map=robot&strength=1&prompt=" + "x" * 1_000_000, "1,000,028 characters"),
        (f"map=robot&strength={MARKUP}", "Strength is"),
        (f"map={MARKUP}&strength=1", "no such map"),
    ],
)
def test_a_broken_link_is_one_notice_and_the_usual_page(handlers, user_errors, query, sentence):
    tab, _, menu, *others = handlers.open(f"{HOME}?{query}")
    assert (tab, menu.value) == ("text-to-image", "robot")
    assert all(map(is_skip, others))
    (notice,) = user_errors
    assert sentence in notice
    assert "<img" not in notice


@pytest.mark.parametrize("address", ["javascript:alert(1)", "", "?map=robot&strength=1", "[", "#"])
def test_what_is_no_address_is_none_of_ours(handlers, address):
    assert handlers.open(address)[1].startswith("http://127.0.0.1")


def test_a_tab_waits_with_its_menu_until_the_page_has_opened(studio):
    for tab in (ImageHandlers(studio), TextHandlers(studio)):
        assert is_skip(tab.library(None, ""))
        assert tab.library(None, HOME).value


def _begin(handlers, map_id, restored=(), at=1.0):
    """λ, or None where it stays; what is still restored; where the map starts."""
    strength, kept, own = handlers.begin(map_id, [*restored], at)
    return None if is_skip(strength) else strength, None if is_skip(kept) else kept, own


def test_a_map_begins_at_the_strength_of_its_method(studio, handlers):
    studio.entries[2] = replace(studio.entries[2], metadata={"strength": 0.5})
    assert _begin(handlers, "mine") == (0.5, [], 0.5)
    assert _begin(handlers, "robot", at=0.5) == (1.0, [], 1.0)
    assert _begin(handlers, "robot") == (None, [], 1.0)  # stays where somebody put it


def test_a_strength_that_came_with_its_map_stays_until_another_map_is_chosen(studio, handlers):
    studio.entries[2] = replace(studio.entries[2], metadata={"strength": 0.5})
    assert _begin(handlers, "mine", ["mine", ""]) == (None, None, 0.5)
    _, kept, _ = _begin(handlers, "robot", ["mine", ""], 0.5)
    assert _begin(handlers, "mine", kept) == (0.5, [], 0.5)


def test_a_restored_prompt_is_not_taken_for_an_example(studio):
    choose = ImageHandlers(studio).choose
    assert choose("robot", "A valley").prompt[1] == "A valley, with a robot"
    assert choose("robot", "A valley", ["robot", "A valley"]).prompt[1] == "A valley"
    # Another map that is chosen afterwards changes an example as ever.
    _, adapted = choose("robot", "A church", ["mine", "A church"]).prompt
    assert adapted == "A church, with a robot"


def test_a_saved_picture_brings_its_settings_back(handlers, tmp_path):
    file = _png(tmp_path, _recipe([("Mine", 0.35), (MARKUP, -0.5)], prompt="浮世絵"))
    menu, *values = handlers.from_picture(file, "robot")[:6]
    assert menu.value == "mine"
    assert values == [0.35, "浮世絵", 7, ["mine", "浮世絵"], [("robot", -0.5)]]


def test_a_saved_picture_finds_its_map_by_its_values_then_by_its_id_then_by_its_title(
    handlers, studio, tmp_path, user_errors
):
    robot, mine = studio.entries[1:]
    studio.entries[1:] = [
        replace(robot, title="Mine", metadata={"sha256": "r"}),
        replace(mine, metadata={"sha256": "m"}),
    ]

    def found(*identities, title="Mine", chosen=None):
        recipe = replace(_recipe([(title, 1)]), identities=identities)
        return handlers.from_picture(_png(tmp_path / f"{identities}", recipe), chosen)[0].value

    assert found(("mine", "m"), chosen="robot") == "mine"
    assert found(("", "m")) == "mine"  # by the command line
    assert found(("elsewhere", "m"), title="Renamed since") == "mine"
    assert found(("robot", "m")) == "mine"
    assert found(("mine", "learnt on"), title="Renamed since") == "mine"
    assert user_errors == []
    assert found(("gone", "g")) == "robot"
    assert found(chosen="mine") == "mine"  # saved by an earlier version
    assert len(user_errors) == 2
    assert "2 maps are called “Mine”" in user_errors[0]
    with pytest.raises(gr.Error, match="“Renamed since” for small"):
        found(("gone", "g"), title="Renamed since")


@pytest.mark.parametrize(
    "identities", [[["a"]], [[1, "a"]], [["a", 1]], 1, None, [["a", "b"]] * 2]
)
def test_identities_that_are_none_are_one_sentence(handlers, tmp_path, identities):
    file = _png(tmp_path, replace(_recipe([("Mine", 1)]), identities=identities))
    with pytest.raises(gr.Error, match="cannot be read"):
        handlers.from_picture(file, None)


@pytest.mark.parametrize(
    ("steered", "text"), [((0, 1), "0-1"), ((2, 2), "2"), (None, ""), ((0, 3), "")]
)
def test_a_saved_picture_brings_its_steps_and_guidance_back(
    handlers, studio, tmp_path, steered, text
):
    recipe = replace(_recipe([]), num_inference_steps=4, guidance_scale=2.5, steer_at=steered)
    file, all_steps = _png(tmp_path, recipe), "0-3" if steered == (0, 3) else text
    assert handlers.from_picture(file, None)[6:9] == (4, 2.5, all_steps)
    studio.pictures.known["small"] = Denoising(4, 3.5)  # an empty box is the default
    assert handlers.from_picture(file, None)[6:9] == (None, 2.5, text)


def test_an_earlier_result_is_that_of_its_steered_steps(handlers, studio):
    entry = studio.entry("robot")
    queries = []
    for steered in ("", "0-1"):
        steps = checked_steps(None, None, steered)
        studio.pictures.with_steps(steps).paint([entry], "A valley", [[1]], seed=7)
        queries.append(Settings(["robot"], [1], "A valley", 7, *steps).query)
    past, tiles = handlers.keep([queries[0]], queries[1])
    assert past == queries[::-1]
    assert re.findall(r"<small>(seed .*?)</small>", tiles) == ["seed 7, steered at 0-1", "seed 7"]
    assert queries[1] == f"{queries[0]}&steer_steps=0-1"
    unmade = handlers.keep([], f"{queries[0]}&steer_steps=1")
    assert all(map(is_skip, unmade))
    *_, last = handlers.again(SimpleNamespace(query=queries[1]))[6:9]
    assert last == "0-1"


def test_a_tile_names_steps_and_guidance_that_are_not_the_default():
    tile = Tile("?a=b", [("Robot", 1)], "A valley", 7, steps=Steps(1, 0.0))
    assert "<small>seed 7, 1 step, guidance 0</small>" in earlier([tile])
    tile = replace(tile, steps=Steps(20, 2.5, (0, 9)))
    assert "<small>seed 7, 20 steps, guidance 2.5, steered at 0-9</small>" in earlier([tile])


def test_an_original_keeps_the_map_that_is_chosen(handlers, tmp_path):
    file = _png(tmp_path, _recipe([]))
    for chosen, found in (("mine", "mine"), ("gone", "robot"), (None, "robot")):
        menu, strength, *_ = handlers.from_picture(file, chosen)
        assert (menu.value, strength) == (found, 0)


def test_a_strip_opens_at_its_last_picture(handlers, tmp_path):
    file = _png(tmp_path, _recipe([("Mine", [-1, 0, 0.75])]))
    assert handlers.from_picture(file, None)[1] == 0.75


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        (_recipe([("Gone", 1)]), "map “Gone” for small.* is not in the library"),
        (_recipe([("Mine", 1)], model="dmd2"), "map “Mine” for DMD2"),
        (_recipe([("Topic", 1)], model="tiny"), "map “Topic” for tiny"),  # one for texts
        (_recipe([], model="x" * 999), "A map for xxx"),
        (_recipe([(MARKUP + "x" * 9999, 1)]), "not in the library"),
        (_recipe([("Mine", float("nan"))]), "λ is nan"),
        (_recipe([("Mine", 1e999)]), "λ is inf"),
        (_recipe([("Mine", True)]), "λ is True"),
        (_recipe([("Mine", [])]), r"λ is \[\]"),
        (_recipe([("Mine", [[]])]), r"λ is \[\]"),
        (_recipe([("Mine", {"a": 1})]), "λ is"),
        (_recipe([("Mine", 1)] * 4), "4 maps were given"),
        (_recipe([("Mine", 1)], prompt=""), "The prompt is empty"),
        (_recipe([("Mine", 1)], prompt="x" * 2001), "2,001 characters"),
        (_recipe([("Mine", 1)], seed="1"), "Seed is"),
        (_recipe([("Mine", 1)], seed=-1), "Seed is -1"),
        (_recipe([("Mine", 1)], seed=10**4000), "Seed is 1000"),
        (_recipe([("Mine", 1)], seed=None), "Seed is None"),
        (replace(_recipe([]), num_inference_steps=0), "Number of steps is 0"),
        (replace(_recipe([]), num_inference_steps="x"), "Number of steps is"),
        (replace(_recipe([]), guidance_scale=float("nan")), "Guidance is nan"),
        (replace(_recipe([]), steer_at=MARKUP), "The steered steps are"),
        (replace(_recipe([]), steer_at=[0, 1e999]), "Step is inf"),
        (replace(_recipe([]), steer_at=[2, 1]), "The steered steps are"),
    ],
)
def test_whatever_a_picture_says_is_checked(handlers, tmp_path, recipe, sentence):
    with pytest.raises(gr.Error, match=sentence) as caught:
        handlers.from_picture(_png(tmp_path, recipe), None)
    assert "<img" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_picture_without_a_recipe_and_no_picture_are_one_sentence(handlers, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"<html>")
    for name, sentence in (("a.png", "contains no recipe"), ("b.png", "not a PNG file")):
        with pytest.raises(gr.Error, match=sentence):
            handlers.from_picture(str(tmp_path / name), None)


def test_a_recipe_that_is_no_object_is_one_sentence(handlers, tmp_path):
    texts = PngInfo()
    texts.add_text("lineas", json.dumps([1, 2]))
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=texts)
    with pytest.raises(gr.Error, match="cannot be read"):
        handlers.from_picture(str(tmp_path / "a.png"), None)


def _settings(map_id="robot", strength=0.5, further=(), prompt="A valley", seed=1):
    (*ids,), (*strengths,) = zip((map_id, strength), *further, strict=True)
    return Settings(ids, strengths, prompt, seed)


def test_what_is_shown_is_told_to_copy(handlers):
    settings = _settings(further=[("mine", -1)], prompt=f"{MARKUP} & more")
    copies = handlers.describe(HOME, settings.query)
    assert copies.count("<pre>") == 4
    assert "<img" not in copies
    assert html.escape(f"{HOME}{settings.query}") in copies


def test_nothing_is_told_before_there_is_a_result_or_once_its_map_is_gone(handlers):
    for query in ("", _settings(map_id="gone").query):
        assert is_skip(handlers.describe(HOME, query))


def test_link_and_code_and_earlier_results_are_of_what_is_shown_not_of_the_boxes(tmp_path):
    """A prompt can be typed while another one is being painted or written."""
    functions = build_demo(Studio(tmp_path)).fns.values()
    named = [(getattr(each.fn, "__qualname__", ""), each) for each in functions]
    answered = {
        box
        for name, each in named
        for box in each.outputs
        if name in ("ImageHandlers.generate", "TextHandlers.generate", "HistoryHandlers.keep")
    }
    reads = ("HistoryHandlers.describe", "HistoryHandlers.keep")
    found = [{*each.inputs} - answered for name, each in named if name in reads]
    assert [[box.label for box in rest] for rest in found] == [[None], [], [None], []]  # `home`


def _make(studio, handlers, past=(), **asked):
    now = _settings(**asked)
    query = now.query
    studio.pictures.paint(studio.together(now.maps), now.prompt, [now.strengths], seed=now.seed)
    return handlers.keep(list(past), query)


def test_earlier_results_stand_newest_first_and_come_back(studio, handlers):
    past, _ = _make(studio, handlers)
    past, tiles = _make(studio, handlers, past, prompt="A church", seed=2)
    assert [Settings.from_link(each[1:]).prompt for each in past] == ["A church", "A valley"]
    assert tiles.count("data:image/jpeg") == 2
    assert tiles.index("A church") < tiles.index("A valley")
    clicked = html.unescape(re.findall('data-query="(.*?)"', tiles)[1])
    menu, *values = handlers.again(SimpleNamespace(query=clicked))[:6]
    assert (menu.value, values[:3]) == ("robot", [0.5, "A valley", 1])


def test_a_slider_that_moves_makes_no_new_entry(studio, handlers):
    past, _ = _make(studio, handlers)
    past, tiles = _make(studio, handlers, past, strength=0.1 + 0.2)
    assert len(past) == 1
    assert "+0.3<" in tiles
    past, _ = _make(studio, handlers, past, further=[("mine", 0.5)])
    assert len(past) == 2


def test_a_result_that_comes_back_keeps_its_place(studio, handlers):
    past, _ = _make(studio, handlers)
    past, _ = _make(studio, handlers, past, seed=2)
    assert all(map(is_skip, _make(studio, handlers, past)))
    again, _ = _make(studio, handlers, past, strength=-1)
    assert [Settings.from_link(each[1:]).seed for each in again] == [2, 1]


def test_at_most_twelve_are_kept(studio, handlers):
    past = []
    for seed in range(15):
        past, tiles = _make(studio, handlers, past, seed=seed)
    assert [Settings.from_link(each[1:]).seed for each in past] == [*range(14, 2, -1)]
    assert tiles.count("<li>") == 12


def test_a_picture_that_is_not_painted_yet_is_no_result(handlers):
    for each in (_settings().query, ""):
        assert all(map(is_skip, handlers.keep([], each)))


def test_a_text_is_kept_without_a_picture(handlers):
    query = _settings(map_id="topic", prompt=f"{MARKUP} word " * 9).query
    past, tiles = handlers.keep([], query)
    assert len(past) == 1
    assert "<img" not in tiles
    assert "…" in tiles


def test_a_result_whose_map_is_gone_is_not_shown(studio, handlers):
    gone, _ = _make(studio, handlers, map_id="mine")
    past, _ = _make(studio, handlers, gone)
    studio.entries = studio.entries[:2]
    _, tiles = _make(studio, handlers, past, strength=-1)
    assert tiles.count("<li>") == 1
    assert all(map(is_skip, handlers.keep(past, gone[0].replace("seed=1", "seed=2"))))
    with pytest.raises(gr.Error, match="no such map"):
        handlers.again(SimpleNamespace(query=gone[0]))


@pytest.mark.parametrize(
    "query", [None, 1, "", "?", "?map=robot&strength=nan", "?map=gone&strength=1", MARKUP]
)
def test_a_click_that_names_no_result_is_refused(handlers, query):
    with pytest.raises(gr.Error) as caught:
        handlers.again(SimpleNamespace(query=query))
    assert "Internal error" not in str(caught.value)
