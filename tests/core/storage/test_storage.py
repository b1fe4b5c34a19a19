import json
import os
import shutil
import struct
from contextlib import suppress
from dataclasses import replace

import pytest
import torch

from lineas_core import (
    AffineMap,
    LearnConfig,
    PromptSet,
    SteeringMaps,
    UserError,
    check_fits,
    learn,
    load_maps,
    save_maps,
    steer,
)
from lineas_core.models.base import fingerprint, fingerprints, network_fingerprint
from lineas_core.paths import ASSETS
from lineas_core.steering.low_rank import LowRankMap
from lineas_core.storage.disk import sweep, write_atomically
from lineas_core.storage.maps import load_prompts, read_metadata
from tests.fakes import tiny_language_model
from tests.full_disk import full_disk
from tests.killed import killed_while


def _maps(**metadata):
    steps = {f"layer.{k}": AffineMap(1 + torch.rand(4), torch.randn(4)) for k in range(3)}
    return SteeringMaps(steps, {"model": "tiny", **metadata})


def _equal(a, b):
    return list(a) == list(b) and all(
        torch.equal(a[k].scale, b[k].scale) and torch.equal(a[k].shift, b[k].shift) for k in a
    )


def _same(a, b):
    return _equal(a, b) and a.metadata == b.metadata


def _parts(file):
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _join(header, payload):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + payload


@pytest.fixture
def saved(tmp_path):
    return save_maps(_maps(title="A map"), tmp_path / "map") / "lineas.safetensors"


def test_maps_come_back_as_they_were(tmp_path):
    prompts = PromptSet(("a b", "c d"), ("e f", "g h"), name="Set", keywords=("word",))
    maps = _maps()
    folder = save_maps(maps, tmp_path / "map", prompts=prompts)
    for path in (folder, folder / "lineas.safetensors"):
        assert _equal(load_maps(path), maps)
    assert load_maps(folder).metadata["keywords"] == ["word"]
    assert PromptSet.load(folder / "prompts.json").source == prompts.source
    assert "A map" in (save_maps(_maps(title="A map"), folder) / "README.md").read_text()


def test_a_ready_made_map_is_loaded_by_its_name_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_maps("robot-emoji-world").metadata["model"] == "emoji-world"
    with pytest.raises(UserError, match="no-such-map"):
        load_maps("no-such-map")


def test_a_loaded_map_steers_as_the_learnt_one_did(tmp_path):
    model = tiny_language_model()
    maps = learn(model, ["a b", "c d"], ["e f", "g h"], config=LearnConfig(iterations=3))
    loaded = load_maps(save_maps(maps, tmp_path / "map"))
    check_fits(loaded, model)
    inputs = model.encode(["a b c"])
    with torch.no_grad(), steer(model.network, maps):
        before = model.forward(inputs)
    with torch.no_grad(), steer(model.network, loaded):
        assert torch.equal(model.forward(inputs), before)


def test_a_map_of_another_model_names_both():
    model, twin = tiny_language_model(), tiny_language_model()
    name = model.default_modules[0]
    twin.network.get_submodule(name).weight.data.mul_(1.5)
    step = {name: AffineMap.identity(32)}
    facts = {"model": "the first", "fingerprint": fingerprint(model.network, [name])}
    check_fits(SteeringMaps(step, facts), model)
    with pytest.raises(UserError, match="learnt on the first, the loaded model is tiny"):
        check_fits(SteeringMaps(step, facts), twin)


def test_other_weights_of_the_same_model_are_told_by_both_fingerprints():
    model, twin = tiny_language_model(), tiny_language_model(seed=1)
    name = model.default_modules[0]
    twin.network.get_submodule(name).weight.data.mul_(1.5)
    expected, found = (fingerprint(each.network, [name]) for each in (model, twin))
    maps = SteeringMaps({name: AffineMap.identity(32)}, {"model": "tiny", "fingerprint": expected})
    with pytest.raises(UserError, match="learnt on other weights of tiny") as caught:
        check_fits(maps, twin)
    assert expected in str(caught.value)
    assert found in str(caught.value)


def test_the_modules_whose_weights_differ_are_named():
    model, twin = tiny_language_model(), tiny_language_model()
    names = model.default_modules
    twin.network.get_submodule(names[1]).weight.data.mul_(1.5)
    steps = {name: AffineMap.identity(32) for name in names}
    facts = {"model": "tiny", "fingerprint": fingerprint(model.network, names)}
    known = fingerprints(model.network, names)
    check_fits(SteeringMaps(steps, {**facts, "fingerprints": known}), model)
    with pytest.raises(UserError, match=f"weights of 1 of them differ, first {names[1]}"):
        check_fits(SteeringMaps(steps, {**facts, "fingerprints": known}), twin)
    for damaged in (None, "x", 7, [names[1]], {}, {names[1]: 7}):  # as from an untrusted file
        maps = SteeringMaps(steps, {**facts, "fingerprints": damaged})
        check_fits(maps, model)
        with pytest.raises(UserError, match="other weights of tiny"):
            check_fits(maps, twin)


def test_a_learnt_map_knows_the_weights_of_each_module_and_of_the_network():
    model = tiny_language_model()
    maps = learn(model, ["a b", "c d"], ["e f", "g h"], config=LearnConfig(iterations=1))
    assert maps.metadata["fingerprints"] == fingerprints(model.network, list(maps))
    assert maps.metadata["network_fingerprint"] == network_fingerprint(model.network)


@pytest.mark.parametrize("part", ["lm_head", "model.embed_tokens", "model.layers.1.mlp.up_proj"])
def test_other_weights_outside_the_steered_modules_are_recognised(part):
    model, twin = tiny_language_model(), tiny_language_model()
    maps = learn(model, ["a b", "c d"], ["e f", "g h"], config=LearnConfig(iterations=1))
    check_fits(maps, twin)
    twin.network.get_submodule(part).weight.data.mul_(1.01)
    with pytest.raises(UserError, match="other weights of tiny.* modules are the same, but not"):
        check_fits(maps, twin)
    early = {k: v for k, v in maps.metadata.items() if k != "network_fingerprint"}
    check_fits(SteeringMaps(dict(maps), early), twin)  # it knows its modules only


def test_a_map_without_a_fingerprint_is_accepted_with_a_warning_if_it_fits(caplog):
    model = tiny_language_model()
    name = model.default_modules[0]
    check_fits(SteeringMaps({name: AffineMap.identity(32)}, {"title": "Old"}), model)
    assert "Old: it does not say which weights" in caplog.text
    for steps, reason in (
        ({name: AffineMap.identity(33)}, f"{name} does not have 33 coordinates"),
        ({"no.such": AffineMap.identity(32)}, "it has no module no.such"),
    ):
        with pytest.raises(UserError, match=reason):
            check_fits(SteeringMaps(steps), model)


def test_the_fingerprint_does_not_depend_on_precision():
    model = tiny_language_model()
    before = fingerprint(model.network, model.default_modules)
    whole = network_fingerprint(model.network)
    model.network.to(torch.bfloat16)
    assert fingerprint(model.network, model.default_modules) == before
    assert network_fingerprint(model.network) == whole


def test_a_file_that_is_cut_is_not_listed_either(saved):
    whole = saved.read_bytes()
    assert read_metadata(saved.parent) == load_maps(saved).metadata
    for cut in range(0, len(whole), 7):
        saved.write_bytes(whole[:cut])
        with pytest.raises(UserError, match="not a usable steering map"):
            read_metadata(saved.parent)


def test_every_cut_and_every_flipped_byte_is_refused_or_harmless(saved):
    whole, original = saved.read_bytes(), load_maps(saved)
    damaged = [whole[:cut] for cut in range(0, len(whole), 7)]
    damaged += [
        whole[:k] + bytes([whole[k] ^ flip]) + whole[k + 1 :]
        for k in range(len(whole))
        for flip in (0x01, 0x41)
    ]
    for data in damaged:
        saved.write_bytes(data)
        with suppress(UserError):
            assert _same(load_maps(saved), original)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ('"strength\\": 0.2', '"strength\\": 0.9'),
        ("fingerprint", "fingerprinu"),
        ('model\\": \\"tiny', 'model\\": \\"tinz'),
    ],
)
def test_metadata_with_one_changed_letter_are_refused(tmp_path, text, other):
    maps = _maps(strength=0.2, fingerprint="0123456789abcdef")
    file = save_maps(maps, tmp_path / "map") / "lineas.safetensors"
    whole = file.read_bytes()
    assert text.encode() in whole
    file.write_bytes(whole.replace(text.encode(), other.encode(), 1))
    for read in (load_maps, lambda file: read_metadata(file.parent)):
        with pytest.raises(UserError, match="the checksum of its metadata does not match"):
            read(file)


def test_a_file_of_an_earlier_release_has_no_checksum_of_its_metadata_and_is_read(saved):
    header, payload = _parts(saved)
    before = load_maps(saved)
    for name in [name for name in header["__metadata__"] if "config_sha256" in name]:
        del header["__metadata__"][name]
    saved.write_bytes(_join(header, payload))
    assert _same(load_maps(saved), before)
    renamed = SteeringMaps(before.maps, {**before.metadata, "title": "Another"})
    save_maps(renamed, saved.parent)
    assert _same(load_maps(saved), renamed)
    assert json.loads((saved.parent / "lineas_config.json").read_text()) == renamed.metadata


def test_low_rank_maps_of_a_real_model_are_read_back(tmp_path):
    low = LowRankMap(torch.ones(3584, 128), torch.ones(128, 3584), torch.ones(128))
    maps = SteeringMaps({f"model.layers.{k}.mlp": low for k in range(28)})
    folder = save_maps(maps, tmp_path / "map")
    assert (folder / "lineas.safetensors").stat().st_size > 98_000_000
    loaded = load_maps(folder)
    assert list(loaded) == list(maps)
    assert torch.equal(loaded["model.layers.27.mlp"].up, low.up)


def test_maps_of_a_mixture_with_thousands_of_modules_are_read_back(tmp_path):
    names = [f"model.layers.{k}.mlp.experts.{n}.down_proj" for k in range(48) for n in range(128)]
    steps = dict.fromkeys(names, AffineMap(torch.full((4,), 2.0), torch.ones(4)))
    maps = SteeringMaps(steps, {"fingerprints": dict.fromkeys(names, "0123abcd")})
    assert _equal(load_maps(save_maps(maps, tmp_path / "map")), maps)


def _nested():
    nested = []
    for _ in range(100_000):
        nested = [nested]
    return nested


_ROWS = _maps().at([0.5, 1.0])
_UNREADABLE = {
    "a map per row": (_ROWS, "not the ones that its metadata names"),
    "no module": (SteeringMaps({}), "steers no module"),
    "two widths": (
        SteeringMaps({"a": AffineMap(torch.ones(32), torch.ones(3))}),
        "not the ones that its metadata names",
    ),
    "much metadata": (_maps(description="x" * (17 << 20)), "more than 16 MB"),
    "deep metadata": (_maps(description=_nested()), r"malformed \(RecursionError\)"),
    "no JSON": (_maps(description=torch.ones(1)), r"malformed \(TypeError\)"),
}


@pytest.mark.parametrize("name", _UNREADABLE)
def test_what_could_not_be_read_back_is_refused_and_replaces_nothing(saved, name):
    (maps, reason), before = _UNREADABLE[name], load_maps(saved)
    with pytest.raises(UserError, match=f"map: the map cannot be saved, .*{reason}"):
        save_maps(maps, saved.parent)
    with pytest.raises(UserError, match="the map cannot be saved"):
        save_maps(maps, saved.parent.parent / "new")
    assert _same(load_maps(saved), before)
    assert [item.name for item in saved.parent.parent.iterdir()] == ["map"]


def test_prompts_that_could_not_be_read_back_are_refused(tmp_path):
    twice = PromptSet(("a", "a"), ("b", "c", "d"))  # read as one prompt
    with pytest.raises(UserError, match="1 prompt found, at least 2 needed"):
        save_maps(_maps(), tmp_path / "map", prompts=twice)
    assert not list(tmp_path.iterdir())


def _duplicate(header, payload):
    text = json.dumps(header).encode()
    return _join(b'{"__metadata__": {}, ' + text[1:], payload)


def _edited(**changes):
    def make(header, payload):
        header["layer.0.scale"] |= changes
        return _join(header, payload)

    return make


def _configured(**changes):
    def make(header, payload):
        config = json.loads(header["__metadata__"]["lineas.config"]) | changes
        header["__metadata__"] = {"lineas.config": json.dumps(config)}  # without a checksum
        return _join(header, payload)

    return make


def _extra(header, payload):
    header["extra"] = {
        "dtype": "F32",
        "shape": [1],
        "data_offsets": [len(payload), len(payload) + 4],
    }
    return _join(header, payload + b"\0\0\0\0")


def _without_config(header, payload):
    header["__metadata__"] = {"format": "pt"}
    return _join(header, payload)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_duplicate, "twice"),
        (_edited(dtype="F64"), "not the ones"),
        (_edited(shape=[2, 2]), "not the ones"),
        (_edited(shape=[1 << 62]), "not the ones"),
        (_edited(data_offsets=[0, 1 << 62]), "malformed"),
        (_configured(format_version=99), "format 99"),
        (_configured(modules={}), "steers no module"),
        (_configured(modules=["layer.0"]), "malformed"),
        (_configured(shifts=["layer.0"]), "not the ones"),
        (_configured(shifts=3), "malformed"),
        (lambda header, payload: _join({"__metadata__": "x"}, payload), "malformed"),
        (_extra, "not the ones"),
        (_without_config, "LoRA"),
        (lambda h, p: _join(h, p + b"\0" * 8), "length is malformed"),
        (lambda h, p: _join(h, p[:-4]), "length is malformed"),
        (lambda h, p: _join(h, p[:-4] + struct.pack("<f", float("nan"))), "checksum"),
        (lambda h, p: struct.pack("<Q", 1 << 63) + p, "cut short"),
        (lambda h, p: b"", "cut short"),
        (lambda h, p: b"PK\x03\x04 anything", "zip archive or a pickle"),
        (lambda h, p: b"GGUF" + p, "model"),
        (lambda h, p: b"<html>" + p, "safetensors format"),
        (lambda h, p: _join(b"[" * 100_000, p), "malformed"),
    ],
)
def test_a_foreign_or_hostile_file_is_refused_in_one_sentence(saved, make, reason):
    saved.write_bytes(make(*_parts(saved)))
    with pytest.raises(UserError, match="not a usable steering map") as caught:
        load_maps(saved)
    assert reason in str(caught.value)


def test_scales_that_are_all_1_are_not_stored(tmp_path):
    wide = {f"wide.{k}": AffineMap(torch.ones(4096), torch.randn(4096)) for k in range(2)}
    shifting = SteeringMaps(wide, {"model": "tiny"})
    folder = save_maps(shifting, tmp_path / "map")
    assert _equal(load_maps(folder), shifting)
    size = (folder / "lineas.safetensors").stat().st_size
    assert 2 * 4096 * 4 < size < 2 * 4096 * 4 + 4096  # the shifts and a header
    mixed = SteeringMaps({**wide, **_maps()}, load_maps(folder).metadata)
    assert _equal(load_maps(save_maps(mixed, folder)), mixed)
    assert load_maps(folder).metadata["format_version"] == 3
    scaling = SteeringMaps(_maps(), load_maps(folder).metadata)
    assert load_maps(save_maps(scaling, folder)).metadata["format_version"] == 1


def test_a_missing_map_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"no lineas\.safetensors"):
        load_maps(tmp_path / "nowhere")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e9])
def test_values_that_could_harm_are_not_saved(tmp_path, value):
    maps = SteeringMaps({"a": AffineMap(torch.tensor([value]), torch.zeros(1))})
    with pytest.raises(UserError, match="not finite or beyond"):
        save_maps(maps, tmp_path / "map")


def test_a_full_disk_leaves_the_old_map_and_no_litter(saved, monkeypatch):
    folder, before = saved.parent, load_maps(saved)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        save_maps(_maps(), folder)
    assert _equal(load_maps(folder), before)
    assert not [file for file in folder.iterdir() if file.name.startswith(".")]


def test_writing_replaces_a_file_whole(tmp_path):
    file = tmp_path / "file"
    write_atomically(file, b"old")
    write_atomically(file, b"new")
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


def test_half_a_character_in_the_metadata_is_refused(saved):
    with pytest.raises(UserError, match="unpaired surrogate"):
        save_maps(_maps(keywords=["\ud83e"]), saved.parent / "new")
    assert not (saved.parent / "new").exists()
    saved.write_bytes(_configured(keywords=["\ud83e"])(*_parts(saved)))
    with pytest.raises(UserError, match="unpaired surrogate"):
        load_maps(saved)


def test_pairs_that_repeat_a_prompt_are_read_back_as_they_were(tmp_path):
    table = b"source,target\na,b\na,c\nd,e\nf,e\n"
    prompts = PromptSet.parse(table, "x.csv").holdout(2)
    folder = save_maps(_maps(), tmp_path / "map", prompts=prompts)
    assert load_prompts(folder, load_maps(folder).metadata) == prompts


def test_the_prompts_of_an_older_map_do_not_stay_beside_a_newer_one(tmp_path):
    maps = SteeringMaps({"m": AffineMap(torch.ones(2), torch.ones(2))})
    save_maps(maps, tmp_path, prompts=PromptSet(("a", "b"), ("c", "d")))
    assert (tmp_path / "prompts.json").exists()
    save_maps(replace(maps, metadata={"title": "Another"}), tmp_path)
    assert (tmp_path / "prompts.json").exists()  # the same maps
    save_maps(SteeringMaps({"m": AffineMap(torch.ones(2), torch.zeros(2))}), tmp_path)
    assert not (tmp_path / "prompts.json").exists()


@pytest.mark.parametrize("name", ["README.md", "prompts.json"])
def test_a_file_of_somebody_else_is_neither_replaced_nor_taken_for_that_of_a_map(tmp_path, name):
    text = json.dumps({"source": ["a", "b"], "target": ["c", "d"], "name": "Unrelated"})
    (tmp_path / name).write_text(text)
    for prompts in (None, PROMPTS[0]):
        with pytest.raises(UserError, match=f"holds no map, but a {name} that saving"):
            save_maps(_maps(), tmp_path, prompts=prompts)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == text


@pytest.mark.parametrize("renames", [1, 2, 3])
def test_what_an_interrupted_save_has_left_is_replaced_and_not_taken(
    tmp_path, monkeypatch, renames
):
    replace, done = type(tmp_path).replace, []

    def interrupted(file, place):
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(replace(file, place))

    monkeypatch.setattr(type(tmp_path), "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_maps(_maps(), tmp_path, prompts=PROMPTS[0])
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == renames
    maps = _maps(title="Another")
    save_maps(maps, tmp_path)
    assert _equal(load_maps(tmp_path), maps)
    assert not (tmp_path / "prompts.json").exists()
    save_maps(maps, tmp_path, prompts=PROMPTS[1])
    assert load_prompts(tmp_path, load_maps(tmp_path).metadata).source == PROMPTS[1].source


def test_prompts_that_were_put_beside_a_map_are_not_kept_as_its_own(saved):
    save_maps(SteeringMaps(load_maps(saved).maps), saved.parent, prompts=PROMPTS[0])
    (saved.parent / "prompts.json").write_text('{"source": ["a", "b"], "target": ["c", "d"]}')
    save_maps(SteeringMaps(load_maps(saved).maps), saved.parent)
    assert load_maps(saved).metadata["prompts_sha256"] is None
    assert not (saved.parent / "prompts.json").exists()


def test_prompts_from_two_large_files_are_read_back_from_the_map(tmp_path):
    files = [
        "\n".join(f"{k} {word} \u2014 {'x' * 200}" for k in range(4000)).encode()
        for word in ("this", "that")
    ]
    prompts = PromptSet.parse(files[0], "a.txt", files[1], "b.txt")
    folder = save_maps(_maps(), tmp_path / "map", prompts=prompts)
    assert (folder / "prompts.json").stat().st_size > 1_500_000
    assert load_prompts(folder, load_maps(folder).metadata).target == prompts.target


PROMPTS = [PromptSet((f"{k} b", f"{k} c"), (f"{k} e", f"{k} f"), name=f"Set {k}") for k in (0, 1)]


def _save_turn(folder, turn):
    """Save maps with the shift 1 or 2 and the prompts that belong to them."""
    maps = SteeringMaps({"m": AffineMap(torch.ones(8), torch.full((8,), turn % 2 + 1.0))})
    save_maps(maps, folder, prompts=PROMPTS[turn % 2])


@pytest.mark.parametrize("swaps", [True, False], ids=["at once", "in two steps"])
def test_the_texts_of_a_map_are_those_of_its_weights_after_a_kill(tmp_path, swaps, monkeypatch):
    if not swaps:  # as on a system that cannot swap two folders
        monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    folder = tmp_path / "map"
    for _ in range(30):
        killed_while(lambda turn: _save_turn(folder, turn))
        maps = load_maps(folder)
        prompts = load_prompts(folder, maps.metadata)
        assert prompts.source == PROMPTS[int(maps["m"].shift[0]) - 1].source
        assert f"# {maps.metadata['title']}\n" in (folder / "README.md").read_text()
        assert json.loads((folder / "lineas_config.json").read_text()) == maps.metadata
    sweep(tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == ["map"]
    assert {file.name for file in folder.iterdir()} == {
        "README.md",
        "lineas.safetensors",
        "lineas_config.json",
        "prompts.json",
    }


def test_a_kill_between_two_renames_costs_no_map(tmp_path):
    folder = save_maps(_maps(), tmp_path / "map")
    before = load_maps(folder)
    folder.rename(tmp_path / ".map.replaced")
    sweep(tmp_path)
    assert _equal(load_maps(folder), before)
    folder.rename(tmp_path / ".map.replaced")
    (tmp_path / ".map.replaced" / "notes.txt").write_text("mine")
    save_maps(_maps(), folder)
    assert [item.name for item in tmp_path.iterdir()] == ["map"]
    assert (folder / "notes.txt").read_text() == "mine"
    assert not _equal(load_maps(folder), before)


@pytest.mark.parametrize("path", ["some/map", "some/map/lineas.safetensors"])
def test_a_map_is_loaded_after_a_kill_between_two_renames(tmp_path, monkeypatch, path):
    before = load_maps(save_maps(_maps(), tmp_path / "some" / "map"))
    (tmp_path / "some" / "map").rename(tmp_path / "some" / ".map.replaced")
    monkeypatch.chdir(tmp_path)
    assert _same(load_maps(path), before)  # not one of the hub
    assert [item.name for item in (tmp_path / "some").iterdir()] == ["map"]


def test_what_a_kill_after_both_renames_has_left_hinders_no_later_save(saved, monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())  # as where two folders cannot swap
    folder, maps = saved.parent, _maps()
    shutil.copytree(folder, folder.parent / ".map.replaced")
    save_maps(maps, folder)
    assert _equal(load_maps(folder), maps)
    assert [item.name for item in folder.parent.iterdir()] == ["map"]


def test_a_map_that_is_loaded_between_two_renames_hinders_no_save(saved, monkeypatch):
    def renamed(old, new):
        done = rename(old, new)
        if str(new).endswith(".replaced") and not between:
            between.append(load_maps(saved.parent))
        return done

    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    rename, between, before, maps = type(saved).rename, [], load_maps(saved), _maps()
    monkeypatch.setattr(type(saved), "rename", renamed)
    save_maps(maps, saved.parent)
    assert _same(between[0], before)
    assert _equal(load_maps(saved), maps)


def test_what_else_is_in_the_folder_of_a_map_stays(saved):
    folder = saved.parent
    (folder / "previews").mkdir()
    (folder / "previews" / "00.png").write_bytes(b"picture")
    (folder / "notes.txt").write_text("mine")
    os.link(folder / "notes.txt", folder.parent / "elsewhere.txt")
    (folder / "more").symlink_to(folder.parent)  # not to be followed
    save_maps(_maps(), folder)
    assert (folder / "previews" / "00.png").read_bytes() == b"picture"
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "more").is_symlink()
    assert (folder.parent / "elsewhere.txt").read_text() == "mine"


def test_a_file_that_is_linked_elsewhere_is_never_written_through(saved):
    other = saved.parent.parent / "other.safetensors"
    os.link(saved, other)
    before = other.read_bytes()
    save_maps(_maps(), saved.parent)
    assert other.read_bytes() == before != saved.read_bytes()


def test_the_working_folder_is_changed_in_place(saved, monkeypatch):
    monkeypatch.chdir(saved.parent)
    maps = _maps()
    save_maps(maps, ".")
    assert _equal(load_maps("."), maps)
    assert "lineas.safetensors" in os.listdir(".")
    assert [item.name for item in saved.parent.parent.iterdir()] == ["map"]


def test_a_new_map_appears_whole_or_not_at_all(tmp_path):
    for kill in range(10):
        killed_while(lambda turn, kill=kill: _save_turn(tmp_path / f"map-{kill}-{turn}", turn))
    maps = list(tmp_path.glob("map-*"))
    assert len(maps) >= 10
    for folder in maps:
        metadata = load_maps(folder).metadata
        assert load_prompts(folder, metadata).name == metadata["title"]
        assert len(list(folder.iterdir())) == 4
    sweep(tmp_path)
    assert not list(tmp_path.rglob(".*"))


def test_a_full_disk_changes_no_file_of_the_map(saved):
    before = {file.name: file.read_bytes() for file in saved.parent.iterdir()}
    with full_disk(), pytest.raises(UserError, match="the map was not saved.*Free some disk"):
        save_maps(_maps(), saved.parent, prompts=PROMPTS[0])
    assert {file.name: file.read_bytes() for file in saved.parent.iterdir()} == before


def test_a_full_disk_leaves_no_empty_folder(tmp_path):
    with full_disk(), pytest.raises(UserError, match="the map was not saved"):
        save_maps(_maps(), tmp_path / "map")
    assert list(tmp_path.iterdir()) == []


def test_prompts_of_another_map_are_refused(saved):
    save_maps(_maps(), saved.parent, prompts=PROMPTS[0])
    metadata = load_maps(saved).metadata
    assert load_prompts(saved.parent, metadata).source == PROMPTS[0].source
    other = save_maps(_maps(), saved.parent.parent / "other", prompts=PROMPTS[1])
    shutil.copy(other / "prompts.json", saved.parent)
    with pytest.raises(UserError, match="not the prompts that the map was saved with"):
        load_prompts(saved.parent, metadata)


def test_extreme_values_are_counted_and_those_of_the_ready_made_maps_are_not():
    steps = {"a": AffineMap(torch.tensor([0.0, 1e4, 1.0, -1.0]), torch.tensor([0, 0, 2e3, 1.0]))}
    assert SteeringMaps(steps).extreme == 0.75
    assert SteeringMaps(steps).ranges == ((-1.0, 1e4), (0.0, 2e3))
    names = [folder.name for folder in (ASSETS / "maps").iterdir()]
    assert max(load_maps(name).extreme for name in names) < 0.01


def test_of_two_processes_that_save_the_same_map_one_wins_whole(tmp_path):
    folder, children = save_maps(_maps(), tmp_path / "map", prompts=PROMPTS[0]), []
    for first in range(2):
        if not (child := os.fork()):
            for turn in range(20):
                _save_turn(folder, first + turn)
            os._exit(0)
        children.append(child)
    while children:
        with suppress(UserError):  # prompts that are read after a swap are those of another save
            load_prompts(folder, load_maps(folder).metadata)
        done, status = os.waitpid(children[-1], os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0
            children.pop()
    maps = load_maps(folder)
    found = load_prompts(folder, maps.metadata)
    assert found.source == PROMPTS[int(maps["m"].shift[0]) - 1].source
    assert [item.name for item in tmp_path.iterdir()] == ["map"]
