import re
import shutil

import pytest
import torch
import typer
import yaml
from typer.testing import CliRunner

from lineas_core import AffineMap, PromptSet, SteeringMaps, UserError, cli, load_maps, push_maps
from lineas_core import save_maps as save
from lineas_core.cli.arguments import load_map_and_strength, split_strength
from lineas_core.methods import METHODS
from lineas_core.models import hub as hub_module
from lineas_core.models.repositories import HubPlace
from lineas_core.paths import ASSETS
from lineas_core.storage.model_card import model_card
from tests.hub import TOKEN, WRITER, Repository, serve, use

PROMPTS = PromptSet(("a b", "c d"), ("e f", "g h"), name="Letters")
FACTS = {"model": "smollm2-135m", "kind": "language", "method": "lineas", "strength": 1.0}


def _maps(shift=1.0, **facts):
    step = AffineMap(torch.full((4,), 0.5), torch.full((4,), shift))
    return SteeringMaps({"model.layers.0": step}, {**FACTS, **facts})


@pytest.fixture
def folder(tmp_path):
    return save(_maps(), tmp_path / "letters", prompts=PROMPTS)


@pytest.fixture
def hub(folder, tmp_path, monkeypatch):
    """A hub with one map, one repository without any, and a person who may write to `me/`."""
    repositories = {
        "some/letters": Repository.of(folder),
        "some/empty": Repository({"a.txt": b""}),
    }
    with serve(repositories) as served:
        use(served, monkeypatch, tmp_path / "cache", WRITER)
        yield served


def _front(card):
    return yaml.safe_load(card.split("---")[1])


def test_a_map_of_the_hub_is_loaded_like_any_other(hub):
    maps = load_maps("some/letters")
    assert maps["model.layers.0"].shift.tolist() == [1.0] * 4
    assert maps.metadata["title"] == "Letters"
    assert not hub.downloads("a.txt")


def test_only_the_files_of_a_map_are_downloaded(hub):
    hub.repositories["some/letters"].files["pytorch_model.bin"] = b"a pickle"
    hub.repositories["some/letters"].files["previews/00.png"] = b"a picture"
    load_maps("some/letters")
    assert not hub.downloads("pytorch_model.bin")
    assert not hub.downloads("previews")


def test_a_revision_is_pinned_in_the_name_or_beside_it(hub, tmp_path):
    repository = hub.repositories["some/letters"]
    first = repository.commit
    repository.change(Repository.of(save(_maps(2.0), tmp_path / "second")).files)
    assert load_maps("some/letters")["model.layers.0"].shift[0] == 2.0
    assert load_maps("some/letters", revision=first)["model.layers.0"].shift[0] == 1.0
    assert load_maps(f"some/letters@{first}")["model.layers.0"].shift[0] == 1.0
    with pytest.raises(UserError, match="Give it once"):
        load_maps(f"some/letters@{first}", revision="main")
    with pytest.raises(UserError, match="for OWNER/NAME of the hub only"):
        load_maps(tmp_path / "second", revision="main")


def test_a_downloaded_map_needs_no_hub_any_more(folder, tmp_path, monkeypatch):
    with serve({"some/letters": Repository.of(folder)}) as served:
        use(served, monkeypatch, tmp_path / "cache")
        load_maps("some/letters")
    assert load_maps("some/letters").metadata["title"] == "Letters"
    with pytest.raises(UserError, match="some/other: .*the hub does not answer"):
        load_maps("some/other")


def test_a_folder_that_exists_wins_and_a_path_is_never_on_the_hub(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(_maps(3.0), "some/letters")
    assert load_maps("some/letters")["model.layers.0"].shift[0] == 3.0
    shutil.rmtree("some")
    asked = len(hub.asked)
    with pytest.raises(UserError, match="there is no lineas.safetensors"):
        load_maps(tmp_path / "some" / "letters")
    assert len(hub.asked) == asked


def _damaged(data):
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_damaged, "its checksum does not match"),
        (lambda data: data[:-4], "its length is malformed"),
        (lambda data: b"PK\x03\x04" + data, "a zip archive or a pickle"),
    ],
)
def test_a_map_of_the_hub_is_checked_like_any_other(hub, change, reason):
    files = hub.repositories["some/letters"].files
    files["lineas.safetensors"] = change(files["lineas.safetensors"])
    with pytest.raises(UserError, match=f"^some/letters: .*{reason}"):
        load_maps("some/letters")


def test_a_huge_file_is_not_even_downloaded(hub, monkeypatch):
    monkeypatch.setattr("lineas_core.storage.places.MAX_FILE", 1 << 20)
    hub.repositories["some/letters"].files["lineas.safetensors"] = bytes((1 << 20) + 1)
    with pytest.raises(UserError, match="has files of more than 1 MB"):
        load_maps("some/letters")
    assert not hub.downloads("/store/")


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("some/empty", "the repository has no lineas.safetensors"),
        ("some/typo", "it is not a folder here.*the hub has no such repository.*hf auth login"),
        ("some/letters@typo", "the repository has no such revision"),
        ("some/a--b", "the hub allows no such name"),
    ],
)
@pytest.mark.usefixtures("hub")
def test_what_is_not_on_the_hub_is_one_sentence(place, reason):
    with pytest.raises(UserError, match=reason) as caught:
        load_maps(place)
    assert caught.value.where == place


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "does not accept the token"), (403, "has no permission"), (429, "overloaded")],
)
def test_a_hub_that_refuses_a_download_is_one_sentence(hub, status, reason):
    hub.refuses["/api/models/"] = status
    with pytest.raises(UserError, match=reason):
        load_maps("some/letters")


def test_a_published_map_comes_back_and_its_card_names_the_very_version(hub, folder):
    (folder / "previews").mkdir()
    (folder / "previews" / "a.png").write_bytes(b"a picture")
    pushed = push_maps(folder, "me/letters")
    assert pushed.address == f"{hub.url}/me/letters"
    repository = hub.repositories["me/letters"]
    assert repository.private
    assert set(repository.files) == {
        *("README.md", "lineas_config.json", "prompts.json", "lineas.safetensors"),
        "previews/00.png",
    }
    loaded = load_maps(str(pushed.place))
    assert loaded.metadata == load_maps(folder).metadata
    card = repository.files["README.md"].decode()
    assert f'load_maps("{pushed.place}")' in card
    assert f"--map {pushed.place}:1" in card
    assert re.fullmatch("me/letters@[0-9a-f]{40}", str(pushed.place))
    assert (
        'load_maps("me/letters")' in repository.at(pushed.place.revision)[1]["README.md"].decode()
    )


def test_a_new_version_leaves_nothing_of_the_one_before(hub, folder):
    (folder / "previews").mkdir()
    (folder / "previews" / "a.png").write_bytes(b"a picture")
    first = push_maps(folder, "letters")
    hub.repositories["me/letters"].files["notes.txt"] = b"of the owner"
    second = push_maps(_maps(2.0), "me/letters", private=False)
    files = hub.repositories["me/letters"].files
    assert "notes.txt" in files
    assert not {"prompts.json", "previews/00.png"} & set(files)
    assert load_maps(str(first.place))["model.layers.0"].shift[0] == 1.0
    assert load_maps(str(second.place))["model.layers.0"].shift[0] == 2.0


def test_a_map_is_created_for_everybody_only_if_told(hub, folder):
    push_maps(folder, "me/open", private=False)
    assert not hub.repositories["me/open"].private


def test_nothing_of_an_unusable_map_is_published(hub, folder):
    weights = folder / "lineas.safetensors"
    weights.write_bytes(_damaged(weights.read_bytes()))
    with pytest.raises(UserError, match="checksum"):
        push_maps(folder, "me/letters")
    with pytest.raises(UserError, match="learnt on 'mine/model/folder', which others cannot load"):
        push_maps(_maps(model="mine/model/folder"), "me/letters")
    assert "me/letters" not in hub.repositories


@pytest.mark.parametrize(
    ("token", "name", "reason"),
    [
        ("", "me/letters", "needs a token.*hf auth login"),
        ("hf_wrong", "me/letters", "does not accept the token"),
        (TOKEN, "me/letters", "the account of the token has no permission"),
        (WRITER, "somebody/letters", "the account of the token has no permission"),
        (WRITER, "me/a..b", "the hub allows no such name"),
    ],
)
@pytest.mark.usefixtures("hub")
def test_a_refused_upload_is_one_sentence(folder, monkeypatch, token, name, reason):
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(UserError, match=reason) as caught:
        push_maps(folder, name)
    assert not token or token not in str(caught.value)


def test_a_hub_that_cannot_take_it_now_says_so(hub, folder, monkeypatch):
    hub.refuses["/commit/"] = 429
    with pytest.raises(UserError, match="overloaded or reports an error of its own, 429"):
        push_maps(folder, "me/letters")
    monkeypatch.setattr(hub_module.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="the hub cannot be reached"):
        push_maps(folder, "me/letters")


@pytest.mark.parametrize("name", ["robot-emoji-world", "toxicity-gemma-3-270m"])
def test_a_ready_made_map_has_a_card_that_the_hub_takes(hub, name):
    push_maps(name, f"me/{name}", private=False)
    files = hub.repositories[f"me/{name}"].files
    front = _front(files["README.md"].decode())
    assert front["library_name"] == "lineas"
    if name.endswith("emoji-world"):
        assert front["pipeline_tag"] == "text-to-image"
        assert "base_model" not in front  # it is on no hub
        assert [each["output"]["url"] for each in front["widget"]] == sorted(
            file for file in files if file.startswith("previews/")
        )
        assert front["widget"][0]["text"] == "strength -1"
    else:
        assert front["base_model"] == "google/gemma-3-270m"
        assert (front["license"], front["pipeline_tag"]) == ("gemma", "text-generation")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"license": "cc0-1.0"}, {"license": "cc0-1.0"}),
        (
            {"license": "Do what you want"},
            {"license": "other", "license_name": "do-what-you-want"},
        ),
        ({"model": "gemma-2-2b"}, {"license_name": "gemma-terms-of-use", "license": "other"}),
        (
            {"model": "owner/model"},
            {"base_model": "owner/model", "base_model_relation": "adapter"},
        ),
    ],
)
def test_the_front_matter_says_what_is_known(facts, expected):
    front = _front(model_card({**FACTS, **facts, "modules": {}}, HubPlace("me/letters")))
    assert expected.items() <= front.items()


@pytest.mark.parametrize("name", METHODS)
def test_the_card_names_the_method_as_its_paper_does(name):
    card = model_card({**FACTS, "method": name, "modules": {}})
    assert f"- Method: {METHODS[name].label}\n" in card


def test_the_shipped_cards_name_the_method_as_its_paper_does():
    folders = [file.parent for file in ASSETS.glob("maps/*/README.md")]
    assert folders
    cards = [(folder / "README.md").read_text() for folder in folders]
    assert all("- Method: LinEAS\n" in card for card in cards)


def test_a_style_is_called_so_wherever_the_project_describes_one():
    """It was called a look in half of the places."""
    root = ASSETS.parent
    sets = [PromptSet.load(file) for file in root.glob("prompts/images/*.json")]
    told = [each.description for each in sets if each.kind == "style"]
    told += [load_maps(file.parent).metadata["description"] for file in _shipped()]
    told += [(root / name).read_text() for name in ("README.md", "docs/clean-removal.md")]
    told += [file.with_name("README.md").read_text() for file in _shipped()]
    assert len(told) > 20
    assert not [text for text in told if re.search(r"\b(the|a|of|ten) looks?\b", text)]


def _shipped():
    return ASSETS.glob("maps/*/lineas.safetensors")


def test_the_command_line_takes_a_map_of_the_hub_and_publishes_one(hub):
    shown = CliRunner().invoke(cli.app, ["info", "some/letters"])
    assert '"title": "Letters"' in shown.stdout
    pushed = CliRunner().invoke(cli.app, ["push", "some/letters", "me/copy", "--public"])
    assert re.fullmatch("me/copy@[0-9a-f]{40}\n", pushed.stdout)
    assert f"see {hub.url}/me/copy" in pushed.stderr
    assert load_maps(pushed.stdout.strip()).metadata["title"] == "Letters"


def test_metadata_of_strange_types_still_make_a_card():
    strange = {"model": ["a"], "license": {"a": 1}, "strength": "much", "kind": ["language"]}
    strange["method"] = ["a"]
    assert _front(model_card({**strange, "modules": {}}))["license"] == "other"
    facts = {**FACTS, "strength": "much", "modules": {}}
    assert "strength=1)" in model_card(facts)


def test_a_place_of_the_hub_can_have_a_strength(hub):
    commit = hub.repositories["some/letters"].commit
    assert split_strength(f"some/letters@{commit}:-0.5") == (f"some/letters@{commit}", -0.5)
    assert load_map_and_strength("some/letters:0.5")[1] == 0.5
    assert load_map_and_strength("some/letters")[1] == 1.0
    with pytest.raises(typer.BadParameter, match="'much' is not a number"):
        split_strength("some/letters:much")


def test_the_shipped_maps_can_all_be_published():
    for folder in sorted((ASSETS / "maps").iterdir()):
        front = _front(model_card(load_maps(folder).metadata))
        assert front["license"] in ("mit", "apache-2.0", "gemma")
