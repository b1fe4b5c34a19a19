import html
import json
from itertools import groupby, zip_longest

import gradio as gr
import pytest

from app.images.endpoint import PictureEndpoint
from app.library.export_handlers import ExportHandlers
from app.library.handlers import LibraryHandlers
from app.studio.studio import Studio
from app.studio.texts import Texts
from app.text.handlers import TextHandlers
from app.widgets.install_handlers import InstallHandlers
from lineas_core import (
    AffineMap,
    LearnConfig,
    PromptSet,
    SteeringMaps,
    UserError,
    learn,
    save_maps,
)
from lineas_core.models import Sampling
from lineas_core.models.catalog import MODELS
from lineas_core.pictures import paint
from tests.fakes import (
    ask_for_a_petabyte,
    hooks_of,
    save_model,
    tiny_image_model,
    tiny_language_model,
)
from tests.hub import WRITER, serve, use

SHORT = Sampling(max_new_tokens=6)


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    root = tmp_path_factory.mktemp("studio")
    model = tiny_language_model()
    model.name = save_model(model, root / "model")
    maps = learn(model, ["a b", "b c"], ["y z", "x y"], config=LearnConfig(iterations=5))
    save_maps(maps, root / "data" / "maps" / "letters")
    (root / "data" / "maps" / "broken").mkdir()
    (root / "data" / "maps" / "broken" / "lineas.safetensors").write_bytes(b"<html>")
    return Studio(root / "data", assets=root / "assets")


def _hooks(studio, map_id="letters"):
    with studio.models.use(studio.entry(map_id).model) as model:
        return hooks_of(model.network)


def test_a_broken_map_is_left_out_of_the_library(studio):
    assert [entry.id for entry in studio.maps()] == ["letters"]


def test_strength_zero_writes_the_original(studio):
    *_, (original, same, other) = studio.texts.continue_text(
        studio.entry("letters"), "hello", [0.0, 0.0, 1.0], seed=3, sampling=SHORT
    )
    assert original == same
    assert other.text != original.text
    assert other.perplexity >= 1


def test_a_closed_tab_gives_back_lock_and_hooks(studio):
    stream = studio.texts.continue_text(
        studio.entry("letters"), "hello", [0.0, 1.0], sampling=SHORT
    )
    next(stream), next(stream), next(stream)
    stream.close()
    assert not studio.models.busy
    assert not _hooks(studio)


def test_others_can_write_between_two_tokens_and_change_nothing(studio):
    def write(strength):
        entry, sampling = studio.entry("letters"), Sampling(max_new_tokens=8)
        return studio.texts.continue_text(entry, "hello", [strength], seed=3, sampling=sampling)

    alone = [[*write(strength)][-1] for strength in (0.0, 1.0)]
    together = [*zip_longest(write(0.0), write(1.0))]  # token by token in turns
    for number, rows in enumerate(zip(*together, strict=True)):
        assert [row for row in rows if row][-1] == alone[number]
    assert not _hooks(studio)


def test_rates_count_the_same_number_of_texts_at_every_strength(studio):
    texts, openings = Texts(studio.models, openings_at_once=2), ["hello", "once", "then"]
    every = texts.rates(studio.entry("letters"), openings, words=["e"], seeds=2)
    steps = [rows for rows, _ in groupby(every) if rows]
    assert len(steps) == 2 * 2 * 5  # parts, seeds, strengths
    assert [row["texts"] for row in steps[0]] == [2]
    assert [(row["strength"], row["texts"]) for row in steps[-1]] == [
        (lam, 6) for lam in (-1, -0.5, 0, 0.5, 1)
    ]
    assert not _hooks(studio)


def test_others_can_write_between_two_tokens_of_rates_and_change_nothing(studio):
    def stream():
        return studio.texts.rates(studio.entry("letters"), ["hello", "once"], words=["e"])

    *_, alone = stream()
    beside = stream()
    assert next(beside) == next(beside) == []
    *_, (text,) = studio.texts.continue_text(
        studio.entry("letters"), "hello", [1.0], sampling=SHORT
    )
    assert text.text
    *_, rows = beside
    assert rows == alone


def test_an_unknown_map_is_one_sentence(studio):
    with pytest.raises(UserError, match="there is no such map"):
        studio.entry("../letters")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"strengths": [float("nan")]}, "λ is nan"),
        ({"strengths": [2]}, "λ is 2"),
        ({"strengths": ["1"]}, "λ is '1'"),
        ({"prompt": "  "}, "The prompt is empty"),
        ({"prompt": "x" * 2001}, "2,001 characters"),
        ({"max_new_tokens": 10**9}, "Length is"),
        ({"temperature": float("inf")}, "Temperature is inf"),
        ({"map_id": "nothing"}, "no such map"),
    ],
)
def test_whatever_is_posted_is_checked_on_the_server(studio, change, sentence):
    request = {"map_id": "letters", "prompt": "hello", "strengths": [0.5], "max_new_tokens": 3}
    with pytest.raises(gr.Error) as caught:
        next(TextHandlers(studio).continue_text(**{**request, **change}))
    assert sentence in html.unescape(str(caught.value))


def test_the_endpoint_answers_one_row_per_strength(studio):
    *_, rows = TextHandlers(studio).continue_text("letters", "hello", [0, 1], max_new_tokens=3)
    assert [row["strength"] for row in rows] == [0, 1]


def test_a_fault_of_ours_shows_a_number_and_no_trace(studio, monkeypatch):
    monkeypatch.setattr(studio, "maps", lambda: 1 / 0)
    with pytest.raises(gr.Error, match=r"Internal error [0-9a-f]{8}"):
        LibraryHandlers(studio).list_maps()


def test_a_request_without_memory_is_told_what_to_change(studio, monkeypatch):
    monkeypatch.setattr(studio, "maps", ask_for_a_petabyte)
    with pytest.raises(gr.Error, match="not enough memory"):
        LibraryHandlers(studio).list_maps()


def test_the_prompts_of_a_map_tell_which_strengths_may_harm(studio, tmp_path):
    rude, civil = ["you stupid idiot", "shut up, you idiot"], ["you are kind", "please go on"]
    maps = studio.steering(studio.entry("letters"))
    for name, prompts in (
        ("calm", (rude, civil)),
        ("rude", (civil, rude)),
        ("none", (civil,) * 2),
    ):
        folder = tmp_path / "assets" / "maps" / name
        save_maps(maps, folder, prompts=PromptSet(*map(tuple, prompts)))
    library = Studio(tmp_path / "data", assets=tmp_path / "assets")
    assert {e.id: e.harmful for e in library.maps()} == {"calm": -1, "none": 0, "rude": 1}


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    """A studio with one map for pictures."""
    root = tmp_path_factory.mktemp("gallery")
    model = tiny_image_model()
    model.name = save_model(model, root / "model")
    (root / "model" / "words.txt").write_text("# letters\nab\n")
    prompts = PromptSet(("a b", "b c"), ("y z", "x y"), name="Letters", keywords=("with ab",))
    config = LearnConfig(iterations=3, learning_rate=0.5)
    maps = learn(model, prompts.source, prompts.target, config=config)
    save_maps(maps, root / "assets" / "maps" / "letters", prompts=prompts)
    return Studio(root / "data", assets=root / "assets")


def _pixels(pictures):
    return [picture.image.tobytes() for picture in pictures]


def test_a_map_for_pictures_says_so_and_opens_first(gallery, studio):
    (entry,) = gallery.maps()
    assert (entry.kind, entry.harmful) == ("text-to-image", 0)
    assert entry.within("a valley") == "a valley, with ab"
    assert gallery.opens_on() == "text-to-image"
    assert studio.opens_on() == "language"
    assert gallery.models.words(entry.model) == {"letters": ("ab",)}


def _alone(*strengths):
    return [(lam,) for lam in strengths]


def test_strength_zero_paints_the_original(gallery):
    same, original, other = gallery.pictures.paint(
        [gallery.entry("letters")], "a b", _alone(0.0, 0.0, 1.0), seed=3
    )
    assert same.image.tobytes() == original.image.tobytes() != other.image.tobytes()
    assert original.recipe.maps == []
    assert other.recipe.maps == [("Letters", 1.0)]
    assert json.loads(other.image.info["lineas"])["seed"] == 3
    assert not _hooks(gallery)


def test_what_was_painted_once_is_at_hand(gallery, monkeypatch):
    strengths = _alone(-0.5, 0.0, 0.5)
    assert gallery.pictures.painted([gallery.entry("letters")], "c d", strengths) is None
    first = gallery.pictures.paint([gallery.entry("letters")], "c d", strengths)
    monkeypatch.setattr("lineas_core.pictures.paint", lambda *_: 1 / 0)
    assert _pixels(
        gallery.pictures.paint([gallery.entry("letters")], "c d", strengths)
    ) == _pixels(first)
    assert _pixels(
        gallery.pictures.painted([gallery.entry("letters")], "c d", strengths[:2])
    ) == _pixels(first[:2])
    for prompt, lam, seed in (("c", 0.5, 0), ("c d", 0.25, 0), ("c d", 0.5, 1)):
        assert (
            gallery.pictures.painted([gallery.entry("letters")], prompt, _alone(lam), seed=seed)
            is None
        )


def test_only_what_is_missing_is_painted(gallery, monkeypatch):
    gallery.pictures.paint([gallery.entry("letters")], "e f", _alone(0.0, 0.5))
    asked = []
    monkeypatch.setattr("lineas_core.pictures.paint", lambda *a: asked.append(a[2]) or paint(*a))
    pictures = gallery.pictures.paint(
        [gallery.entry("letters")], "e f", _alone(-1.0, 0.0, 0.5, 1.0)
    )
    assert asked == [_alone(-1.0, 1.0)]
    applied = [dict(picture.recipe.maps).get("Letters", 0.0) for picture in pictures]
    assert applied == [-1.0, 0.0, 0.5, 1.0]


def test_several_maps_act_each_at_its_own_strength(gallery):
    twice, alone = gallery.pictures.paint(
        [gallery.entry("letters")] * 2, "e g", [(0.5, -1.0), (0.0, 0.5)]
    )
    assert twice.recipe.maps == [("Letters", 0.5), ("Letters", -1.0)]
    assert _pixels([alone]) == _pixels(
        gallery.pictures.paint([gallery.entry("letters")], "e g", _alone(0.5))
    )
    assert _pixels([alone]) != _pixels([twice])


def test_a_prompt_that_is_cut_is_told(gallery):
    (short,), (long,) = (
        gallery.pictures.paint([gallery.entry("letters")], p, _alone(1.0))
        for p in ("a b", "a b " * 20)
    )
    assert (short.truncated, long.truncated) == (False, True)


def test_a_map_of_the_other_kind_is_refused(gallery, studio):
    with pytest.raises(gr.Error, match="no such map for texts"):
        next(TextHandlers(gallery).continue_text("letters", "hello", [1.0]))
    with pytest.raises(UserError, match="no such map for pictures"):
        studio.mix("letters")
    with pytest.raises(gr.Error, match="no such map for pictures"):
        PictureEndpoint(studio).make_pictures("letters", "hello", [1.0])


def test_missing_weights_of_a_shipped_model_are_told(gallery, monkeypatch):
    monkeypatch.setattr("app.studio.models.installed", lambda _: False)
    name = next(name for name, entry in MODELS.items() if entry.folder)
    with pytest.raises(UserError, match="weights belong to"):
        gallery.models.require(name)
    _, sentence, button, *_ = InstallHandlers(gallery).offer(name)
    assert "are missing from" in sentence
    assert not button.visible


def test_the_users_maps_stand_behind_the_shipped_ones(gallery, tmp_path):
    save_maps(gallery.steering(gallery.entry("letters")), tmp_path / "assets" / "maps" / "shipped")
    both = Studio(tmp_path / "data", assets=tmp_path / "assets")
    copy_id = both.user_maps.duplicate(both.entry("shipped"))
    assert [entry.id for entry in both.maps()] == ["shipped", copy_id]
    both.user_maps.delete(copy_id)
    with pytest.raises(UserError, match="no such map"):
        both.entry(copy_id)


def test_a_map_of_norms_is_exported_for_other_tools(gallery, studio, tmp_path):
    files, note = gallery.export_norms(gallery.entry("letters"), tmp_path / "out")
    assert [file.name for file in files] == ["letters.safetensors", "letters-inverse.safetensors"]
    assert "A1111 would skip norms" in note
    assert not gallery.models.busy
    with pytest.raises(gr.Error, match="no such map for pictures"):
        next(ExportHandlers(studio, LibraryHandlers(studio)).norms("letters"))


def test_a_model_is_exported_with_a_map_in_its_weights(gallery, tmp_path):
    (tmp_path / "out").mkdir()
    folder = gallery.export_weights(gallery.entry("letters"), -0.5, tmp_path / "out")
    assert folder == tmp_path / "out" / "letters--0.5"
    assert {"config.json", "README.md"} < {file.name for file in folder.iterdir()}
    assert not gallery.models.busy
    for strength in (2, None, float("nan"), "1"):
        with pytest.raises(UserError, match="Give a number from -1 to 1"):
            gallery.export_weights(gallery.entry("letters"), strength, tmp_path)


def test_a_map_is_published_with_all_that_belongs_to_it(tmp_path, monkeypatch):
    facts = {"model": "emoji-world", "kind": "text-to-image", "title": "Mine"}
    maps = SteeringMaps({"a": AffineMap.identity(2)}, facts)
    prompts = PromptSet(("a", "b"), ("c", "d"))
    folder = save_maps(maps, tmp_path / "data" / "maps" / "mine", prompts=prompts)
    (folder / "previews").mkdir()
    (folder / "previews" / "any.png").write_bytes(b"a picture")
    with serve({}) as hub:
        use(hub, monkeypatch, tmp_path)
        studio = Studio(tmp_path / "data", hub_token=WRITER)
        address = studio.publish(studio.entry("mine"), "me/letters")
    assert address == f"{hub.url}/me/letters"
    assert set(hub.repositories["me/letters"].files) == {
        *("README.md", "lineas_config.json", "prompts.json", "lineas.safetensors"),
        "previews/00.png",
    }


def test_nothing_is_published_without_a_token_or_a_name(gallery, monkeypatch):
    monkeypatch.setattr("app.studio.studio.push_maps", lambda *_, **__: 1 / 0)
    with pytest.raises(UserError, match="Set the environment variable HF_TOKEN"):
        gallery.publish(gallery.entry("letters"), "me/letters")
    monkeypatch.setattr(gallery, "hub_token", "hf_x")
    with pytest.raises(UserError, match="has no name"):
        gallery.publish(gallery.entry("letters"), "")


def test_a_renamed_map_is_painted_anew_so_that_its_recipe_tells_the_name(gallery, tmp_path):
    save_maps(gallery.steering(gallery.entry("letters")), tmp_path / "maps" / "mine")
    renamed = Studio(tmp_path)
    for title in ("First", "Second"):
        renamed.user_maps.rename("mine", title)
        (picture,) = renamed.pictures.paint([renamed.entry("mine")], "a b", _alone(1.0))
        assert picture.recipe.maps == [(title, 1.0)]
        (identity,) = picture.recipe.identities
        assert identity == ("mine", renamed.entry("mine").metadata["sha256"])
