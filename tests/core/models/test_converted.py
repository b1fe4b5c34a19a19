"""Language models whose weights are pickled are converted once, and loaded from safetensors."""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from lineas_core import UserError, cli, load_model
from lineas_core.models import (
    LanguageModel,
    describe,
    fetch,
    installed,
    pickled,
    unconverted,
    unpickle,
)
from lineas_core.models.integrity import damage
from tests.fakes import save_model, tiny_language_model
from tests.full_disk import full_disk
from tests.hub import Repository, serve, use
from tests.hub_models import write_models

INDEX = "pytorch_model.bin.index.json"
FIRST, SECOND = (f"pytorch_model-0000{n}-of-00002.bin" for n in (1, 2))


class Touch:
    """A pickle that makes a file when it is read."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.mkdir, (str(self.file),)


RUN = pickled.run_child
# Writes half of the file, and goes on until it is killed.
SLOW = """import os, sys, time
open(sys.argv[2], "wb").write(b"half")
open({pid!r}, "w").write(str(os.getpid()))
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Convert in this process: a new one needs seconds to import torch."""

    def run(command, tick):
        tick()
        monkeypatch.setattr(sys, "argv", command[2:])
        try:
            runpy.run_path(command[2], run_name="__main__")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as a process ends
            return subprocess.CompletedProcess(command, 1, "", str(error))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(pickled, "run_child", run)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The cache of the user, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(params=["one file", "two files"])
def folder(request, tmp_path):
    """A tiny model with pickled weights alone."""
    return _pickle(tmp_path / "model", split=request.param == "two files")


def _pickle(folder, model=None, *, split, **options):
    model = model or tiny_language_model()
    save_model(model, folder)
    (folder / "model.safetensors").unlink()
    state = model.network.state_dict()
    names = [*state]
    parts = {"pytorch_model.bin": names}
    if split:
        parts = {FIRST: names[: len(names) // 2], SECOND: names[len(names) // 2 :]}
        table = {name: file for file, each in parts.items() for name in each}
        (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": table}))
    for file, each in parts.items():
        torch.save({name: state[name] for name in each}, folder / file, **options)
    return folder


def _first(folder):
    return sorted(folder.glob("*.bin"))[0]


def _logits(model):
    inputs = model.encode(["some words"])
    return model.network(**inputs.arguments).logits


def _same_weights(model, other=None):
    own, others = (m.network.state_dict() for m in (model, other or tiny_language_model()))
    return own.keys() == others.keys() and all(torch.equal(own[n], others[n]) for n in own)


def test_pickled_weights_are_converted_once_and_the_folder_stays_as_it_is(
    folder, cache, monkeypatch
):
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert (damage(folder), installed(str(folder))) == ("", True)
    assert describe(str(folder)).kind == "language"
    model = load_model(str(folder), device="cpu")
    assert _same_weights(model)
    assert model.name == str(folder)
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == before
    monkeypatch.setattr(pickled, "run_child", None)
    assert _same_weights(load_model(str(folder), device="cpu"))
    assert not [*cache.rglob("*.bin")]


def test_the_conversion_tells_how_far_it_is(folder):
    said = []
    load_model(str(folder), device="cpu", progress=said.append)
    files = sorted(file.name for file in folder.glob("*.bin"))
    assert len(said) == len(files)
    for number, (name, sentence) in enumerate(zip(files, said, strict=True), start=1):
        assert re.search(r"converting the weights to safetensors, 0.0 of [\d.]+ MB", sentence)
        part = f"file {number} of 2, {name}" if len(files) == 2 else name
        assert sentence.endswith(f"now {part}")


def test_the_command_line_tells_the_conversion_too(folder):
    for arguments in (["fetch", str(folder)], ["fetch", str(folder)]):
        ended = CliRunner().invoke(cli.app, arguments)
        assert (ended.exit_code, ended.stdout) == (0, "")
        lines = ended.stderr.splitlines()
        assert "ready" in lines[-1]
        assert all("converting the weights" in line for line in lines[:-1])
    assert len(lines) == 1  # once


def test_a_text_is_generated_after_the_conversion_was_told(folder):
    arguments = ["generate", "a", "--model", str(folder), "--max-new-tokens", "2"]
    ended = CliRunner().invoke(cli.app, arguments)
    assert ended.exit_code == 0
    assert "converting the weights" in ended.stderr


def test_a_conversion_that_is_cancelled_is_ended_and_leaves_nothing(tmp_path, cache, monkeypatch):
    folder, pid = _pickle(tmp_path / "model", split=True), tmp_path / "pid"
    (tmp_path / "slow.py").write_text(SLOW.format(pid=str(pid)))

    def cancel(_):
        if pid.exists() and pid.read_text():
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pickled, "run_child", RUN)
        patch.setattr(unpickle, "__file__", str(tmp_path / "slow.py"))
        with pytest.raises(KeyboardInterrupt):
            fetch(str(folder), cancel)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert not [file for file in cache.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in folder.glob("*.bin"))
    assert unconverted(str(folder)) == size
    assert _same_weights(load_model(str(folder), device="cpu"))
    assert unconverted(str(folder)) == 0


def test_a_file_that_is_converted_is_kept_when_the_next_one_is_cancelled(tmp_path, monkeypatch):
    folder = _pickle(tmp_path / "model", split=True)

    def cancel(sentence):
        if "file 2 of 2" in sentence:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(str(folder), cancel)
    assert unconverted(str(folder)) == (folder / SECOND).stat().st_size
    said = []
    fetch(str(folder), said.append)
    assert ["file 2 of 2" in sentence for sentence in said] == [True, False]
    monkeypatch.setattr(pickled, "run_child", None)
    assert _same_weights(load_model(str(folder), device="cpu"))


@pytest.mark.parametrize("split", [False, True])
def test_tied_weights_that_share_memory_are_converted(tmp_path, split):
    model = tiny_language_model()
    model.network.config.tie_word_embeddings = True
    model.network.tie_weights()
    state = model.network.state_dict()
    assert state["lm_head.weight"].data_ptr() == state["model.embed_tokens.weight"].data_ptr()
    folder = _pickle(tmp_path / "tied", model, split=split)
    again = load_model(str(folder), device="cpu")
    assert _same_weights(again, model)
    assert again.network.lm_head.weight is again.network.model.embed_tokens.weight


def test_parts_of_one_tensor_are_converted(tmp_path):
    """As of projections of an attention that were computed, and saved, as one."""
    whole = torch.arange(12.0).view(3, 4)
    state = {"a": whole[:2], "b": whole[1:], "c": whole.T, "d": whole, "e": whole[:0]}
    torch.save(state, tmp_path / "model.bin")
    found = _load(pickled.convert_pickle(tmp_path / "model.bin", tmp_path / "model.safetensors"))
    assert all(torch.equal(found[name], state[name]) for name in state)


def _load(file):
    from safetensors.torch import load_file

    return load_file(file)


def test_weights_in_the_format_of_early_versions_of_torch_are_converted(tmp_path):
    options = {"_use_new_zipfile_serialization": False}
    folder = _pickle(tmp_path / "early", split=True, **options)
    assert _same_weights(load_model(str(folder), device="cpu"))


def test_weights_in_safetensors_format_come_first(folder, monkeypatch):
    save_model(tiny_language_model(seed=1), folder)
    monkeypatch.setattr(pickled, "run_child", None)
    assert _same_weights(load_model(str(folder), device="cpu"), tiny_language_model(seed=1))


def test_weights_that_were_replaced_are_converted_again_and_the_old_ones_removed(tmp_path, cache):
    for seed in (0, 1):
        model = tiny_language_model(seed=seed)
        folder = _pickle(tmp_path / "model", model, split=seed == 1)
        (folder / "pytorch_model.bin").unlink() if seed else None
        assert _same_weights(load_model(str(folder), device="cpu"), model)
    assert len({file.parent for file in cache.rglob("*.safetensors")}) == 1


def test_code_in_pickled_weights_is_refused_and_never_run(folder, tmp_path):
    marker = tmp_path / "was-run"
    file = _first(folder)
    torch.save({"lm_head.weight": Touch(marker)}, file)
    for _ in range(2):
        with pytest.raises(UserError, match=f"{file.name}: the weights were rejected") as caught:
            load_model(str(folder), device="cpu")
        assert "\n" not in str(caught.value)
    assert not marker.exists()


def test_weights_of_another_network_are_refused(folder):
    torch.save({"a": torch.ones(2)}, _first(folder))
    with pytest.raises(UserError, match="1 weight has no place in the network, first a"):
        load_model(str(folder), device="cpu")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_pickled_weights_that_are_cut_short_are_named(folder, share):
    file = _first(folder)
    os.truncate(file, int(file.stat().st_size * share))
    assert damage(folder) == f"{file.name} is cut short"
    with pytest.raises(UserError, match="is cut short"):
        load_model(str(folder), device="cpu")


@pytest.mark.parametrize(
    ("lost", "reason"),
    [
        (SECOND, f"{SECOND} is missing"),
        (INDEX, f"{INDEX} is missing"),
    ],
)
def test_a_part_of_pickled_weights_that_is_missing_is_named(tmp_path, lost, reason):
    folder = _pickle(tmp_path / "model", split=True)
    (folder / lost).unlink()
    assert reason in damage(folder)
    assert not installed(str(folder))
    with pytest.raises(UserError, match=reason):
        load_model(str(folder), device="cpu")


@pytest.mark.parametrize("part", ["../elsewhere.bin", "/elsewhere.bin", 5, ["a"], None])
def test_an_index_that_leads_out_of_the_folder_is_refused(tmp_path, part):
    folder = _pickle(tmp_path / "model", split=True)
    torch.save({"a": torch.ones(2)}, tmp_path / "elsewhere.bin")
    facts = json.loads((folder / INDEX).read_text())
    facts["weight_map"]["lm_head.weight"] = part
    (folder / INDEX).write_text(json.dumps(facts))
    for load in (load_model, LanguageModel.load):
        with pytest.raises(UserError, match="missing|cannot be read") as caught:
            load(str(folder))
        assert "\n" not in str(caught.value)


def test_a_full_disk_is_one_sentence_and_the_next_load_converts(folder, cache):
    with full_disk(), pytest.raises(UserError, match="not converted: the disk is full") as caught:
        load_model(str(folder), device="cpu")
    assert caught.value.code == "E_DISK"
    assert not [*cache.rglob("*.safetensors")]
    assert _same_weights(load_model(str(folder), device="cpu"))


def test_a_cache_that_cannot_be_written_is_one_sentence(folder, cache):
    cache.write_text("a file")
    with pytest.raises(UserError, match=r"not converted: the folder cannot be written \(Not a "):
        load_model(str(folder), device="cpu")


@pytest.mark.parametrize("end", [(-9, ""), (1, "DefaultCPUAllocator: can't allocate memory")])
def test_a_conversion_without_enough_memory_does_not_blame_the_file(folder, monkeypatch, end):
    killed = subprocess.CompletedProcess([], end[0], "", end[1])
    monkeypatch.setattr(pickled, "run_child", lambda *_: killed)
    with pytest.raises(UserError, match="not enough memory") as caught:
        load_model(str(folder), device="cpu")
    assert caught.value.code == "E_MEMORY"


@pytest.fixture
def hub(folder, monkeypatch, tmp_path):
    """A hub with the model."""
    files = Repository.of(folder).files
    with serve({"some/pickles": Repository(files)}) as hub:
        use(hub, monkeypatch, tmp_path / "hub")
        yield hub


def _weights(hub):
    files = hub.repositories["some/pickles"].files
    return {name: len(data) for name, data in files.items() if name.endswith(".bin")}


def test_pickled_weights_of_the_hub_count_as_the_download_and_go_on_where_it_was_ended(hub):
    weights = _weights(hub)
    found = describe("some/pickles")
    assert sum(weights.values()) < found.download < 2 * sum(weights.values())
    assert not hub.downloads(".bin") + hub.downloads("safetensors")

    def end(sentence):
        if ".bin" in sentence and "index" not in sentence:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(found.name, end)
    assert not installed(found.name)
    said = []
    fetch(found.name, said.append)
    assert said[-1].endswith(": ready")
    assert installed(found.name)
    assert describe(found.name).download == 0
    assert [Path(path).name for path in hub.downloads("/store/")] == sorted(weights)
    assert any("some/pickles: converting the weights" in sentence for sentence in said)
    model = load_model(found.name, device="cpu")
    assert _same_weights(model)
    assert model.name == found.name


def test_what_was_fetched_is_converted_and_loaded_without_the_hub(hub, monkeypatch):
    fetch("some/pickles")
    monkeypatch.setattr(pickled, "run_child", None)
    count = len(hub.asked)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert _same_weights(load_model("some/pickles", device="cpu"))
    assert len(hub.asked) == count


@pytest.mark.parametrize("options", [{}, {"revision": "main"}])
def test_pickled_weights_are_downloaded_when_the_model_is_loaded(hub, options):
    assert _same_weights(LanguageModel.load("some/pickles", **options))
    assert len(hub.downloads("/store/")) == len(_weights(hub))
    assert _same_weights(LanguageModel.load("some/pickles", **options))
    assert len(hub.downloads("/store/")) == len(_weights(hub))


def test_code_in_pickled_weights_of_the_hub_is_refused_and_never_run(hub, tmp_path):
    marker = tmp_path / "was-run"
    torch.save({"lm_head.weight": Touch(marker)}, tmp_path / "code.bin")
    repository = hub.repositories["some/pickles"]
    name = sorted(_weights(hub))[-1]
    repository.files = repository.files | {name: (tmp_path / "code.bin").read_bytes()}
    with pytest.raises(UserError, match=f"{name}: the weights were rejected"):
        load_model("some/pickles", device="cpu")
    assert not marker.exists()


def test_a_hub_that_breaks_off_is_one_sentence_and_the_next_load_goes_on(hub):
    name = sorted(_weights(hub))[-1]
    hub.resets, hub.cuts = True, {name: [1000]}
    with pytest.raises(UserError, match="broke off") as caught:
        load_model("some/pickles", device="cpu")
    assert "\n" not in str(caught.value)
    assert _same_weights(load_model("some/pickles", device="cpu"))


def test_deepseek_of_the_catalog_is_loaded_from_its_pickled_weights(tmp_path, monkeypatch):
    models = write_models(tmp_path / "models", ["deepseek-ai/deepseek-llm-7b-base"])
    with serve(models) as hub:
        use(hub, monkeypatch, tmp_path / "hub")
        assert describe("deepseek-7b").download > 0
        model = load_model("deepseek-7b", device="cpu")
    assert model.name == "deepseek-7b"
    assert model.network.dtype == torch.float32
    assert model.default_modules
    assert torch.isfinite(_logits(model)).all()
