"""The events of the Library tab as plain functions, over a real library of tiny maps."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from zipfile import ZipFile

import gradio as gr
import pytest
import torch

from app.chat.handlers import ChatHandlers
from app.library.export_handlers import ExportHandlers
from app.library.handlers import LibraryHandlers
from app.studio.studio import Studio
from app.text.handlers import TextHandlers
from lineas_core import AffineMap, PromptSet, SteeringMaps, UserError, save_maps
from lineas_core.steering.low_rank import LowRankMap
from tests.app.fakes import is_skip, requested
from tests.app.served import Program, event_of, served
from tests.full_disk import full_disk

MARKUP = "<img src=x onerror=alert(1)>"
PROMPTS = PromptSet(("a", "b"), ("x", "y"), name="Letters")
STEP = AffineMap(torch.tensor([0.5, 1.0]), torch.tensor([0.1, 0.0]))
TEXTS = SteeringMaps({"a": STEP}, {"model": "smollm2-135m"})
NORM = "down_blocks.0.resnets.0.norm1"
PICTURES = SteeringMaps({NORM: STEP}, {"model": "emoji-world", "kind": "text-to-image"})


@pytest.fixture
def studio(tmp_path):
    """Two shipped maps, and one of the user's."""
    shipped = tmp_path / "assets" / "maps"
    save_maps(TEXTS, shipped / "texts", prompts=PROMPTS)
    save_maps(PICTURES, shipped / "pictures", prompts=PROMPTS)
    save_maps(TEXTS, tmp_path / "data" / "maps" / "mine", prompts=PROMPTS)
    return Studio(tmp_path / "data", assets=tmp_path / "assets")


@pytest.fixture
def handlers(studio):
    return LibraryHandlers(studio)


@pytest.fixture
def exports(studio, handlers):
    return ExportHandlers(studio, handlers)


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Where temporary files go."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


def _downloads(event, scratch):
    """The files that an event offers; the page's copies are all that is left of them."""
    (shown,) = event
    assert shown.visible
    assert [path.name for path in scratch.iterdir()] == ["gradio"]
    return [Path(file["path"]) for file in shown.value]


def _order(cards):
    return [piece.partition('"')[0] for piece in cards.split('data-map="')[1:]]


def test_a_map_that_cannot_be_read_is_told_of_and_the_others_are_there(handlers, tmp_path):
    folder = tmp_path / "data" / "maps" / "torn"
    save_maps(TEXTS, folder)
    weights = folder / "lineas.safetensors"
    weights.write_bytes(weights.read_bytes()[:-3])
    cards = handlers.library("", "").cards
    assert "“torn” is damaged" in cards
    assert str(tmp_path) not in cards
    assert _order(cards) == ["mine", "pictures", "texts"]


def test_the_users_maps_come_first_and_the_first_is_chosen(handlers):
    cards, chosen, *_ = handlers.library("", "")
    assert _order(cards) == ["mine", "pictures", "texts"]
    assert chosen == "mine"
    assert 'data-map="mine" aria-pressed="true"' in cards


def test_a_choice_stays_while_it_is_among_the_maps(handlers):
    assert is_skip(handlers.library("", "texts")[1])
    assert handlers.library("language", "pictures")[1] == "mine"
    assert handlers.library("", "gone")[1] == "pictures"  # read-only, so that no click deletes it


def test_the_filter_shows_maps_of_one_kind(handlers):
    assert _order(handlers.library("language", "")[0]) == ["mine", "texts"]
    assert _order(handlers.library("text-to-image", "")[0]) == ["pictures"]


def test_an_empty_library_names_the_next_step(tmp_path):
    handlers = LibraryHandlers(Studio(tmp_path / "data", assets=tmp_path))
    cards, chosen, *_ = handlers.library("", "gone")
    assert "Learn one in the Learn tab, or import one" in cards
    heading, *_ = answers = handlers.details(chosen)
    assert heading == ""
    assert not answers[3].visible


def test_a_full_disk_is_said_when_a_map_is_exported_or_imported(handlers, exports, tmp_path):
    shipped = tmp_path / "assets" / "maps" / "texts"
    archive = shutil.make_archive(str(tmp_path / "map"), "zip", shipped)
    for event in (lambda: list(exports.pack("mine")), lambda: handlers.import_map(archive)):
        with full_disk(), pytest.raises(gr.Error, match="not saved.*Free some disk space"):
            event()
    assert [folder.name for folder in (tmp_path / "data" / "maps").iterdir()] == ["mine"]


@pytest.fixture
def many(tmp_path):
    """A library of a hundred maps of the user, named by number, and a damaged one."""
    first = tmp_path / "data" / "maps" / "map-000"
    save_maps(SteeringMaps({"a": STEP}, {"model": "smollm2-135m"}), first, prompts=PROMPTS)
    for number in range(1, 100):
        shutil.copytree(first, first.with_name(f"map-{number:03d}"))
    return LibraryHandlers(Studio(tmp_path / "data", assets=tmp_path))


def test_many_maps_are_shown_in_pages_and_the_chosen_one_is_on_the_first_shown(many):
    shelf = many.library("", "map-060")
    assert (shelf.page, shelf.pager.visible) == (2, True)
    assert is_skip(shelf.chosen)
    assert "49 to 96 of 100 maps" in shelf.place
    assert _order(shelf.cards) == [f"map-{number:03d}" for number in range(48, 96)]
    later = many.turn("", "map-060", "", shelf.page)
    assert is_skip(later.chosen)
    assert (later.page, len(_order(later.cards))) == (3, 4)
    assert many.turn("", "map-060", "", later.page).page == 3
    assert many.turn_back("", "map-060", "", 1).page == 1


def test_a_search_finds_maps_by_all_its_words(many, tmp_path):
    folder = tmp_path / "data" / "maps" / "map-050"
    maps = SteeringMaps({"a": STEP}, {"model": "smollm2-135m", "title": "Night sky"})
    save_maps(maps, folder)
    for words in ("night", "SKY smollm2", " sky  night ", "night SmolLM2 135M Instruct"):
        shelf = many.library("", "map-000", words)
        assert (_order(shelf.cards), shelf.chosen) == (["map-050"], "map-050")
        assert not shelf.pager.visible
    shelf = many.library("", "map-000", "night fever")
    assert "No map has these words" in shelf.cards
    assert shelf.chosen == ""
    assert "No map for pictures matches. Search" in many.library("text-to-image", "", "sky").cards


def test_many_damaged_maps_are_one_warning(many, tmp_path):
    for number in range(10):
        file = tmp_path / "data" / "maps" / f"map-{number:03d}" / "lineas.safetensors"
        file.write_bytes(b"torn")
    cards = many.library("", "").cards
    assert "“map-004” and 5 more are damaged" in cards
    assert cards.count("damaged") == 1


def test_a_click_on_a_card_is_its_map(handlers):
    assert handlers.pick(SimpleNamespace(value="texts")) == "texts"


def test_cards_that_arrive_after_a_click_on_one_keep_it_chosen(handlers, studio, monkeypatch):
    maps = studio.maps

    def slow():
        handlers.pick(SimpleNamespace(value="texts"))
        return maps()

    monkeypatch.setattr(studio, "maps", slow)
    shelf = handlers.library("", "mine")
    assert shelf.chosen == "texts"
    assert 'data-map="texts" aria-pressed="true"' in shelf.cards


def test_a_map_is_not_shown_any_more_once_another_one_is(handlers, studio, monkeypatch):
    """After it was renamed, it stayed in view, and Delete deleted the one that was chosen."""
    entry = studio.entry

    def slow(map_id):
        monkeypatch.setattr(studio, "entry", entry)
        assert handlers.details("texts").name
        return entry(map_id)

    monkeypatch.setattr(studio, "entry", slow)
    with requested():
        assert all(map(is_skip, handlers.details("mine")))


def test_only_the_users_own_maps_can_be_renamed_and_deleted(handlers):
    for map_id, own in (("mine", True), ("texts", False)):
        view = handlers.details(map_id)
        assert "Letters" in view.heading
        assert "2 source prompts" in view.sheet
        assert view.modules.count("<rect") == 3
        assert view.frame.visible
        assert (view.use.value, view.use.visible) == ("Use in Text", True)
        assert not view.confirm.visible
        assert (view.name.visible, view.delete.visible, view.hint.visible) == (own, own, not own)
        assert view.name.value == "Letters"
        assert not view.norms.visible
        assert view.weights.visible
        assert view.repository == "letters"
        assert not view.files.visible


def test_maps_of_norms_can_go_to_other_tools(handlers):
    view = handlers.details("pictures")
    assert view.use.value == "Use in Images"
    assert view.norms.visible


@pytest.mark.parametrize("map_id", ["gone", "../maps", MARKUP])
def test_what_is_no_map_is_one_sentence(handlers, map_id):
    events = (handlers.details, handlers.use, handlers.duplicate, handlers.delete, handlers.undo)
    for event in events:
        with pytest.raises(gr.Error) as caught:
            event(map_id)
        assert "Internal error" not in str(caught.value)
        assert "<img" not in str(caught.value)


def test_a_map_is_used_in_the_tab_of_its_kind(handlers):
    tabs, texts, pictures = handlers.use("pictures")
    assert tabs.selected == "text-to-image"
    assert not isinstance(texts, gr.Dropdown)
    assert pictures.value == "pictures"
    tabs, texts, pictures = handlers.use("mine")
    assert tabs.selected == "language"
    assert texts.value == "mine"
    assert not isinstance(pictures, gr.Dropdown)


def test_a_map_of_the_user_is_renamed(handlers, studio):
    handlers.rename("mine", MARKUP)
    assert studio.entry("mine").title == MARKUP
    assert "<img" not in handlers.library("", "").cards
    with pytest.raises(gr.Error, match="Give 1 to 100 characters"):
        handlers.rename("mine", " ")
    with pytest.raises(gr.Error, match="duplicate this one"):
        handlers.rename("texts", "Mine")


@pytest.mark.parametrize("tab", [TextHandlers, ChatHandlers])
def test_the_slider_is_labelled_anew_after_a_rename(handlers, studio, tab, tmp_path):
    topic = PromptSet(("a hill", "a lake"), ("a robot", "my robot"), keywords=("robot",))
    save_maps(TEXTS, tmp_path / "data" / "maps" / "mine", prompts=topic)
    handlers.rename("mine", "Machines")
    assert tab(studio).label("mine")["label"] == "λ: less machines ← original → more machines"
    handlers.delete("mine")
    assert is_skip(tab(studio).label("mine"))
    assert is_skip(tab(studio).label(None))


def test_a_copy_is_the_users(handlers, studio):
    copy = studio.entry(handlers.duplicate("texts"))
    assert (copy.title, copy.origin) == ("Letters (copy)", "yours")


def test_undo_restores_the_map_that_the_page_names(studio):
    """The answer to a second Delete was still on its way to the page."""
    copy = studio.user_maps.duplicate(studio.entry("texts"))

    def call(handler, *values):
        return program.join("me", event_of(demo, f"LibraryHandlers.{handler}"), [*values])

    with served(studio) as (demo, address):
        program = Program(address)
        call("library", "", None, "")  # chooses the first one
        call("delete", None)
        (first,) = {copy, "mine"} - {entry.id for entry in studio.maps()}
        (second,) = {copy, "mine"} - {first}
        studio.user_maps.delete(second)
        told = call("undo", first)
    assert told["success"]
    assert [entry.id for entry in studio.maps() if entry.origin == "yours"] == [first]
    assert told["output"]["data"][2] == second  # which is offered next


def test_two_clicks_on_delete_delete_one_map(handlers, studio):
    copy = studio.user_maps.duplicate(studio.entry("mine"))
    handlers.delete("mine")
    assert handlers.library("", "mine").chosen in ("texts", "pictures")
    assert handlers.library("language", "mine").chosen == "texts"
    shelf = handlers.library("", "mine", "copy")  # only one's own are shown
    assert (shelf.chosen, _order(shelf.cards)) == ("", [copy])
    assert 'aria-pressed="true"' not in shelf.cards
    assert not handlers.details("").frame.visible


def test_deletions_are_undone_one_by_one(handlers, studio):
    copy = studio.user_maps.duplicate(studio.entry("mine"))
    handlers.delete("mine")
    *_, deleted = handlers.delete(copy)
    row, sentence, deleted, *_ = handlers.undo(deleted)
    assert (row.visible, deleted) == (True, "mine")
    assert "“Letters” was deleted" in sentence
    row, *_ = handlers.undo(deleted)
    assert not row.visible
    assert {"mine", copy} <= {entry.id for entry in studio.maps()}


def test_a_deleted_map_leaves_every_menu_and_comes_back(handlers, studio):
    handlers.rename("mine", MARKUP)
    row, sentence, deleted = handlers.delete("mine")
    assert (row.visible, deleted) == (True, "mine")
    assert "was deleted" in sentence
    assert "<img" not in sentence
    assert "mine" not in _order(handlers.library("", "mine")[0])
    _, texts, _ = handlers.use("texts")
    assert [value for _, value in texts.choices] == ["texts"]
    row, _, _, kind, words, chosen = handlers.undo(deleted)
    assert (row.visible, kind, words, chosen) == (False, "", "", "mine")
    assert studio.entry("mine").title == MARKUP


def test_a_packed_map_can_be_taken_in_and_leaves_no_file_behind(
    handlers, exports, studio, scratch
):
    (path,) = _downloads(exports.pack("texts"), scratch)
    assert path.name == "letters.zip"
    kind, words, map_id = handlers.import_map(str(path))
    assert (kind, words) == ("", "")  # no filter hides it
    assert studio.entry(map_id).title == "Letters"


def test_an_upload_that_is_no_map_is_one_sentence(handlers, studio, tmp_path):
    (tmp_path / "page.zip").write_bytes(b"<html>")
    with pytest.raises(gr.Error, match="not a usable steering map") as caught:
        handlers.import_map(str(tmp_path / "page.zip"))
    assert str(tmp_path) not in str(caught.value)
    assert len(studio.maps()) == 3


def test_files_for_other_tools_are_offered(exports, studio, scratch, monkeypatch):
    def export(entry, folder):
        files = [folder / f"{entry.id}{ending}.safetensors" for ending in ("", "-inverse")]
        for file in files:
            file.write_bytes(b"x")
        return files, "A1111 would skip norms"

    monkeypatch.setattr(studio, "export_norms", export)
    told = []
    monkeypatch.setattr(gr, "Info", told.append)
    plain, inverse = _downloads(exports.norms("pictures"), scratch)
    assert plain.name == "pictures.safetensors"
    assert inverse.name == "pictures-inverse.safetensors"
    assert told == ["A1111 would skip norms."]


def test_a_model_with_a_map_in_its_weights_is_offered(exports, studio, scratch, monkeypatch):
    def export(entry, strength, folder):
        model = folder / f"{entry.id}-{strength:g}"
        model.mkdir()
        (model / "model.safetensors").write_bytes(b"x")
        return model

    monkeypatch.setattr(studio, "export_weights", export)
    (path,) = _downloads(exports.weights("texts", 0.8), scratch)
    with ZipFile(path) as archive:
        assert archive.namelist() == ["texts-0.8/model.safetensors"]


def test_an_export_that_ends_after_another_map_was_chosen_is_not_shown_there(
    handlers, exports, scratch
):
    handlers.details("texts")
    asked, note, *buttons = exports.begin("texts")
    assert asked == "texts"
    assert "“Letters” is being exported" in note
    assert not any(button.interactive for button in buttons)
    handlers.details("mine")
    (shown,) = exports.pack(asked)
    assert is_skip(shown)
    handlers.details("texts")
    assert _downloads(exports.pack(asked), scratch)
    note, *buttons = exports.end()
    assert not note
    assert all(button.interactive for button in buttons)


def test_maps_of_low_rank_do_not_become_weights(handlers, tmp_path):
    step = LowRankMap(torch.ones(2, 1), torch.ones(1, 2), torch.zeros(1))
    save_maps(SteeringMaps({"a": step}, TEXTS.metadata), tmp_path / "data" / "maps" / "low")
    assert not handlers.details("low").weights.visible


def test_a_published_map_is_linked(handlers, studio, monkeypatch):
    monkeypatch.setattr(studio, "publish", lambda entry, name: f"https://hub/{entry.id}/{name}")
    assert 'href="https://hub/mine/me/letters"' in handlers.publish("mine", " me/letters ")


def test_without_a_token_nothing_can_be_published(handlers, tmp_path):
    assert not handlers.publishes
    with pytest.raises(gr.Error, match="HF_TOKEN"):
        handlers.publish("mine", "me/letters")
    assert LibraryHandlers(Studio(tmp_path, hub_token="hf_x")).publishes


def test_a_hub_that_refuses_is_one_sentence(handlers, studio, monkeypatch):
    def refuse(*_):
        raise UserError("E_HUB", "the hub refused (403)", where=MARKUP, remedy="Check the name.")

    monkeypatch.setattr(studio, "publish", refuse)
    with pytest.raises(gr.Error, match="refused") as caught:
        handlers.publish("mine", MARKUP)
    assert "<img" not in str(caught.value)
