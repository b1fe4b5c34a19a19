"""Maps with absurd values are shown, and used only after a confirmation."""

import gradio as gr
import pytest
import torch

from app.images.blind_handlers import BlindHandlers
from app.images.endpoint import PictureEndpoint
from app.images.handlers import ImageHandlers
from app.images.methods_handlers import MethodsHandlers
from app.images.overview_handlers import OverviewHandlers
from app.library.export_handlers import ExportHandlers
from app.library.handlers import LibraryHandlers
from app.studio.maps import find_map
from app.studio.plausible import check_usable, is_confirmed, warnings_about
from app.studio.studio import Studio
from app.text.handlers import TextHandlers
from app.text.rates_handlers import RatesHandlers
from lineas_core import AffineMap, PromptSet, SteeringMaps, UserError, load_maps, save_maps
from tests.app.fakes import ME, USUAL

PROMPTS = PromptSet(("a", "b"), ("x", "y"), name="Letters")


def _maps(value, **facts):
    step = AffineMap(torch.full((8,), value), torch.full((8,), value))
    facts = {"model": "emoji-world", "kind": "text-to-image", "title": "Odd", **facts}
    return SteeringMaps({"down.norm1": step}, facts)


@pytest.fixture
def studio(tmp_path):
    return Studio(tmp_path / "data", assets=tmp_path / "assets")


def _saved(tmp_path, maps, prompts=None):
    folder = save_maps(maps, tmp_path / "data" / "maps" / "odd", prompts=prompts)
    return find_map("odd", "yours", folder.parent)


@pytest.mark.parametrize(
    ("value", "statistics"),
    [(1e4, "scales 1e+04 to 1e+04, shifts 1e+04 to 1e+04"), (0.0, "scales 0 to 0, shifts 0 to 0")],
)
def test_an_absurd_map_is_shown_with_its_statistics_and_confirmed_before_use(
    studio, tmp_path, value, statistics
):
    entry, handlers = _saved(tmp_path, _maps(value)), LibraryHandlers(studio)
    with pytest.raises(UserError, match="“Odd” has to be confirmed first: 100%.*Library"):
        studio.mix("odd")
    view = handlers.details("odd")
    assert statistics in view.heading
    assert (view.confirm.visible, view.use.visible) == (True, False)
    handlers.confirm("odd")
    view = handlers.details("odd")
    assert statistics in view.heading
    assert (view.confirm.visible, view.use.visible) == (False, True)
    assert studio.mix("odd").entries == (entry,)


def test_a_text_is_not_steered_by_an_absurd_map(studio, tmp_path):
    entry = _saved(tmp_path, _maps(1e4, kind="language"))
    with pytest.raises(UserError, match="has to be confirmed first"):
        next(studio.texts.continue_text(entry, "hello", [0.0, 1.0]))


def test_a_confirmation_holds_for_these_values_only(studio, tmp_path):
    _saved(tmp_path, _maps(1e4))
    LibraryHandlers(studio).confirm("odd")
    studio.user_maps.rename("odd", "Renamed")
    check_usable(studio.entry("odd"))
    copy = studio.entry(studio.user_maps.duplicate(studio.entry("odd")))
    other = _saved(tmp_path, _maps(9e3))
    for entry in (copy, other):
        assert not is_confirmed(entry)
        with pytest.raises(UserError, match="has to be confirmed first"):
            check_usable(entry)


def test_an_ordinary_map_needs_no_confirmation(tmp_path):
    step = AffineMap(torch.tensor([0.5, 1.0, 2.0]), torch.tensor([0.1, 0.0, 500.0]))
    facts = {"model": "emoji-world", "kind": "text-to-image", "fingerprint": "0" * 16}
    entry = _saved(tmp_path, SteeringMaps({"down.norm1": step}, facts))
    check_usable(entry)
    assert warnings_about(entry) == []


def test_a_map_without_a_fingerprint_warns(tmp_path):
    (warning,) = warnings_about(_saved(tmp_path, _maps(1.0)))
    assert "does not say which weights" in warning


def test_damaged_prompts_are_named_and_keep_a_map_for_texts_from_use(studio, tmp_path):
    entry = _saved(tmp_path, _maps(1.0, kind="language"), PROMPTS)
    (entry.folder / "prompts.json").write_bytes(b"{")
    assert [each.id for each in studio.maps()] == ["odd"]
    assert "prompts are damaged" in LibraryHandlers(studio).details("odd").heading
    with pytest.raises(UserError, match="prompts of the map “Odd” are damaged"):
        check_usable(entry)


def test_damaged_values_are_named_and_the_map_can_be_deleted(studio, tmp_path):
    weights = _saved(tmp_path, _maps(1.0), PROMPTS).folder / "lineas.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    view = LibraryHandlers(studio).details("odd")
    assert "checksum does not match" in view.heading
    assert (view.use.visible, view.delete.visible) == (False, True)
    with pytest.raises(UserError, match="checksum does not match"):
        studio.mix("odd")
    studio.user_maps.delete("odd")
    assert studio.maps() == []


@pytest.fixture
def absurd(assets, tmp_path):
    """A page with a map for pictures and one for texts, and both again with absurd values."""
    studio = Studio(tmp_path / "data", assets=assets)
    for name in ("letters", "words"):
        maps = load_maps(assets / "maps" / name)
        steps = {k: AffineMap(m.scale * 1e3, m.shift) for k, m in maps.items()}
        facts = {**maps.metadata, "title": f"Absurd {name}"}
        prompts = studio.user_maps.contents(studio.entry(name))["prompts.json"]
        prompts = PromptSet.parse(prompts, "prompts.json")
        folder = tmp_path / "data" / "maps" / f"absurd-{name}"
        save_maps(SteeringMaps(steps, facts), folder, prompts=prompts)
    return studio


PICTURE, TEXT = "absurd-letters", "absurd-words"
ASKED = ("a b", 0, None, None, None, ME)
STEERED_BY = {
    "pictures": lambda s: PictureEndpoint(s).make_pictures(PICTURE, "a b", [1.0]),
    "a further map": lambda s: PictureEndpoint(s).make_pictures(
        "letters", "a b", [1.0], 0, [[PICTURE, 1.0]]
    ),
    "the slider": lambda s: [*ImageHandlers(s).generate("", 1.0, PICTURE, [], *ASKED)],
    "figures": lambda s: [*ImageHandlers(s).measure("", 1.0, PICTURE, [], *ASKED)],
    "a blind pair": lambda s: BlindHandlers(s).draw(PICTURE, []),
    "a file for other tools": lambda s: [*ExportHandlers(s, LibraryHandlers(s)).norms(PICTURE)],
    "any painting": lambda s: s.pictures.paint([s.entry(PICTURE)], "a b", [[1.0]]),
    "a text": lambda s: [*TextHandlers(s).continue_text(TEXT, "a b", [1.0])],
    "the slider of texts": lambda s: [
        *TextHandlers(s).generate(1.0, TEXT, "a b", 0, 2, 1.0, False, ME)
    ],
    "a sweep": lambda s: [*TextHandlers(s).sweep(TEXT, "a b", 0, 2, 1.0, False, ME)],
    "rates": lambda s: [*RatesHandlers(s).rates(TEXT, ["a b"])],
}


@pytest.mark.parametrize("way", STEERED_BY)
def test_nothing_is_steered_by_a_map_that_is_not_confirmed(absurd, way):
    with pytest.raises((UserError, gr.Error), match="has to be confirmed first"):
        STEERED_BY[way](absurd)


GALLERIES = {
    "overview": lambda s: OverviewHandlers(s).overview("letters", "a b", 0, 1),
    "methods": lambda s: MethodsHandlers(s).paint("letters", "a b", 0, 1, *USUAL, ME),
}


@pytest.mark.parametrize("gallery", GALLERIES)
def test_a_gallery_leaves_out_what_is_not_confirmed_and_says_so(absurd, gallery):
    *_, view = GALLERIES[gallery](absurd)
    assert len(view.pictures) == 2
    assert "Left out, see the Library: “Absurd letters”." in view.description
    LibraryHandlers(absurd).confirm(PICTURE)
    *_, view = GALLERIES[gallery](absurd)
    assert len(view.pictures) == 3
    assert "Left out" not in view.description


def test_a_gallery_of_nothing_but_unconfirmed_maps_says_why(studio, tmp_path, monkeypatch):
    _saved(tmp_path, _maps(1e4))
    monkeypatch.setattr(studio.models, "require", lambda model: None)
    with pytest.raises(gr.Error, match="has to be confirmed first"):
        [*OverviewHandlers(studio).overview("odd", "a b", 0, 1)]


def test_the_tabs_warn_of_a_map_without_a_fingerprint(absurd, tmp_path):
    folder = tmp_path / "data" / "maps" / "absurd-letters"
    maps = load_maps(folder)
    facts = {k: v for k, v in maps.metadata.items() if "fingerprint" not in k}
    save_maps(SteeringMaps(maps.maps, facts), folder)
    summary = ImageHandlers(absurd).choose(PICTURE, "a b").summary
    assert "does not say which weights" in summary
    assert "Implausible" in summary
