"""Models of the hub and of folders: what is known before a download, and under what name."""

import json
from functools import partial
from pathlib import Path

import pytest
from transformers import (
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    LlamaConfig,
    LlamaForCausalLM,
)

from lineas_core import LearnConfig, UserError, learn, load_maps, load_model, save_maps
from lineas_core.models import describe, fetch, installed, kind_of, title_of
from lineas_core.models.outline import outline
from lineas_core.storage.fits import check_fits
from tests.fakes import save_model, tiny_image_model, tiny_language_model
from tests.hub import TOKEN, Repository, serve, use

CARD = {"README.md": b"---\nlicense: apache-2.0\n---\n# A tiny model\n"}
QUANTISED = {"quant_method": "awq", "bits": 4}


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """The files of a tiny language model."""
    folder = tmp_path_factory.mktemp("texts")
    save_model(tiny_language_model(), folder)
    return Repository.of(folder).files | CARD


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """The files of a tiny pipeline."""
    folder = tmp_path_factory.mktemp("pictures")
    save_model(tiny_image_model(), folder)
    return Repository.of(folder).files


@pytest.fixture
def hub(texts, pictures, monkeypatch, tmp_path):
    """A hub with both of them and with what cannot be steered, asked without a token."""
    with serve(_repositories(texts, pictures)) as hub:
        use(hub, monkeypatch, tmp_path / "cache")
        yield hub


def _repositories(texts, pictures):
    changed = partial(_changed, texts)
    bare = {name: data for name, data in texts.items() if not name.endswith(".safetensors")}
    adapter = {"adapter_config.json": b"{}", "adapter_model.safetensors": b""}
    files = {
        "some/texts": texts,
        "some/pictures": pictures,
        "some/encoder": changed(model_type="bert", architectures=["BertModel"]),
        "some/t5": changed(model_type="t5"),
        "some/bare": bare,
        "some/pickles": bare | {"consolidated.00.pth": b"\x80\x02"},
        "some/gguf": {"model.gguf": b"GGUF"},
        "some/adapter": adapter,
        "some/both": texts | adapter,
        "some/unet": {n.removeprefix("unet/"): d for n, d in pictures.items() if "unet/" in n},
        "some/onnx": bare | {"model.onnx": b"ONNX"},
        "some/one_file": {"sd_xl_base_1.0.safetensors": b""},
        "some/no_pickled_index": bare | {"pytorch_model-00001-of-00001.bin": b""},
        "some/no_index": bare | {"model-00001-of-00001.safetensors": b""},
        "some/mlx": changed(quantization_config={"bits": 4, "group_size": 64}),
        "some/code": changed(model_type="own", auto_map={"AutoConfig": "own.Own"}),
        "some/awq": changed(quantization_config=QUANTISED),
        "some/mute": {name: data for name, data in texts.items() if "tokenizer" not in name},
        "some/faces": _changed(pictures, file="model_index.json", _class_name="DDPMPipeline"),
    }
    found = {name: Repository(each) for name, each in files.items()}
    return found | {"some/gated": Repository(texts, gated=True)}


def _changed(files, file="config.json", **settings):
    config = json.loads(files[file]) | settings
    return files | {file: json.dumps(config).encode()}


def test_a_model_of_the_hub_is_described_before_its_weights_are_downloaded(hub, texts):
    found = describe("some/texts")
    commit = hub.repositories["some/texts"].commit
    network = tiny_language_model().network
    assert found.name == f"some/texts@{commit}"
    assert (found.kind, found.architecture) == ("language", "LlamaForCausalLM")
    assert found.parameters == sum(p.numel() for p in network.parameters())
    assert found.modules == tiny_language_model().default_modules
    assert (found.license, found.gated) == ("apache-2.0", False)
    here = {"config.json", "README.md"}
    assert found.download == sum(len(d) for name, d in texts.items() if name not in here)
    assert found.memory >= 4 * found.parameters
    assert not hub.downloads("safetensors")
    assert not installed("some/texts")


def test_a_pipeline_of_the_hub_is_described_downloaded_and_learnt_on(hub):
    found = describe("some/pictures")
    assert (found.kind, found.architecture) == ("text-to-image", "StableDiffusionXLPipeline")
    assert not hub.downloads("safetensors")
    fetch(found.name)
    assert (kind_of(found.name), describe(found.name).download) == ("text-to-image", 0)
    model = load_model(found.name, device="cpu")
    assert model.default_modules == list(found.modules)
    assert (model.name, title_of(model.name)) == (found.name, "some/pictures")


def test_a_folder_is_described_and_its_name_is_resolved(tmp_path, monkeypatch):
    save_model(tiny_language_model(), tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    found = describe("tiny")
    assert found.name == load_model("./tiny", device="cpu").name == str(tmp_path / "tiny")
    assert (found.download, found.license) == (0, "")
    assert installed("tiny")
    assert title_of(found.name) == "tiny"


REFUSED = {
    "some/encoder": "is a bert, which writes no texts",
    "some/t5": "is a t5, an encoder with a decoder",
    "some/gated": "gated, and there is no valid token.*huggingface.co/some/gated, and run",
    "some/typo": "the hub has no such repository",
    "some/texts@v9": "no such revision",
    "some/bare": "no weights in safetensors format",
    "some/pickles": "no weights in safetensors format.*Pickled weights can contain",
    "some/gguf": "no config.json.*that the GGUF file was made from",
    "some/adapter": "it holds an adapter.*Merge it into its model",
    "some/both": "it holds an adapter.*remove adapter_config.json",
    "some/unet": "is the UNet2DConditionModel of a pipeline.*whole pipeline",
    "some/onnx": "no weights in safetensors format.*for another library",
    "some/one_file": "no config.json.*`from_single_file`",
    "some/no_pickled_index": "has no pytorch_model.bin.index.json",
    "some/no_index": "has no model.safetensors.index.json",
    "some/mlx": "quantised by a library that it does not name",
    "some/code": "needs custom code.*never run",
    "some/awq": "requires gptqmodel.*Install that package",
    "some/mute": "has no tokenizer",
    "some/faces": "is of the kind 'DDPMPipeline'",
    "nowhere": "there is no model 'nowhere'.*OWNER/NAME of the hub or a folder",
    "": "there is no model ''",
    "a/b/c": "there is no model 'a/b/c'",
    "/nowhere": "there is no folder '/nowhere'",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_steered_is_one_sentence_before_any_download(hub, name):
    with pytest.raises(UserError, match=REFUSED[name]) as caught:
        describe(name)
    assert "\n" not in str(caught.value)
    assert not hub.downloads("safetensors")


@pytest.mark.usefixtures("hub")
def test_a_gated_model_is_described_with_a_token(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert describe("some/gated").gated


def test_a_model_that_is_too_large_is_known_from_its_configuration(hub, texts):
    large = LlamaConfig(hidden_size=16384, intermediate_size=53248, num_hidden_layers=126)
    files = texts | {"config.json": json.dumps(large.to_dict()).encode()}
    hub.repositories["some/texts"] = Repository(files)
    assert describe("some/texts").memory > 1e12


def test_a_download_takes_only_what_is_loaded_and_goes_on_where_it_was_ended(hub, texts):
    hub.repositories["some/texts"].files = texts | {
        "consolidated.safetensors": b"the same for another program",
        "original/model.pth": b"and for another one",
    }
    said = []

    def stop(sentence):
        said.append(sentence)
        if "model.safetensors" in sentence:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch("some/texts", stop)
    assert not installed("some/texts")
    fetch("some/texts", said.append)
    assert installed("some/texts")
    assert said[-1] == "some/texts: ready"
    assert [Path(path).name for path in hub.downloads("/store/")] == ["model.safetensors"]
    assert not hub.downloads("consolidated") + hub.downloads("original")


def test_to_fetch_what_is_a_folder_or_nothing_says_so(tmp_path):
    said = []
    fetch(save_model(tiny_language_model(), tmp_path / "tiny"), said.append)
    assert said == ["tiny: ready, it is a folder of this machine"]
    with pytest.raises(UserError, match="there is no model 'gpt2'.*OWNER/NAME of the hub"):
        fetch("gpt2")


def test_a_map_keeps_the_commit_and_does_not_fit_the_next_one(hub, tmp_path):
    model, repository = load_model("some/texts", device="cpu"), hub.repositories["some/texts"]
    config = LearnConfig(iterations=1)
    save_maps(learn(model, ["a b", "b c"], ["y z", "x y"], config=config), tmp_path / "map")
    maps = load_maps(tmp_path / "map")
    assert maps.metadata["model"] == f"some/texts@{repository.commit}"
    save_model(tiny_language_model(seed=1), tmp_path / "other")
    repository.change(Repository.of(tmp_path / "other").files)
    check_fits(maps, load_model(maps.metadata["model"], device="cpu"))
    later = load_model("some/texts", device="cpu")
    assert later.name == f"some/texts@{repository.commit}" != model.name
    with pytest.raises(UserError, match="the fingerprint"):
        check_fits(maps, later)


@pytest.mark.usefixtures("hub")
def test_what_was_downloaded_is_loaded_without_the_hub(monkeypatch):
    for name in ("some/texts", "some/pictures"):
        fetch(name)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("some/texts", "some/pictures"):
        assert describe(name).name == load_model(name, device="cpu").name


def test_weights_whose_gradients_are_wrong_on_a_cpu_are_refused_there(tmp_path):
    pytest.importorskip("bitsandbytes")
    config = LlamaConfig(vocab_size=300, hidden_size=128, num_hidden_layers=2)
    settings = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
    LlamaForCausalLM(config).save_pretrained(tmp_path / "whole")
    AutoModelForCausalLM.from_pretrained(
        tmp_path / "whole", quantization_config=settings, device_map="cpu"
    ).save_pretrained(tmp_path / "small")
    tiny_language_model().tokenizer.save_pretrained(tmp_path / "small")
    for use_it in (describe, partial(load_model, device="cpu")):
        with pytest.raises(UserError, match="gradients are wrong on a CPU.*with a GPU"):
            use_it(str(tmp_path / "small"))


def test_a_plan_is_made_for_a_model_of_the_hub(hub):
    assert len([*outline("some/texts").parameters()]) > 0
    with pytest.raises(UserError, match="paints pictures"):
        outline("some/pictures")
    assert not hub.downloads("safetensors")
