import json
import os
import ssl
from urllib.error import HTTPError, URLError

import pytest
import torch
from diffusers.utils import logging
from safetensors.torch import load_file, save_file

from lineas_core import UserError, load_model
from lineas_core.models import TextToImageModel, describe, hub, pickled, pipelines
from lineas_core.models.catalog import MODELS
from lineas_core.models.pickled import convert_pickle
from lineas_core.models.pipelines import load_pipeline
from tests.fakes import tiny_pipeline
from tests.full_disk import full_disk


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    tiny_pipeline().save_pretrained(folder)
    return folder


@pytest.fixture
def index(folder):
    """The index file of the folder, restored after the test."""
    file = folder / "model_index.json"
    before = file.read_text()
    yield file
    file.write_text(before)


@pytest.mark.parametrize("shown", [True, False])
def test_progress_bars_of_diffusers_stay_as_the_caller_has_set_them(folder, shown):
    before = logging.is_progress_bar_enabled()
    try:
        (logging.enable_progress_bar if shown else logging.disable_progress_bar)()
        load_pipeline(folder, device="cpu")
        assert logging.is_progress_bar_enabled() is shown
    finally:
        (logging.enable_progress_bar if before else logging.disable_progress_bar)()


class _Malicious:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_a_pickle_of_tensors_is_converted_once(tmp_path, monkeypatch):
    state = {"a.weight": torch.arange(6.0).view(2, 3).half(), "b": torch.ones(1)}
    torch.save(state, tmp_path / "model.bin")
    target = convert_pickle(tmp_path / "model.bin", tmp_path / "cache" / "model.safetensors")
    converted = load_file(target)
    assert converted.keys() == state.keys()
    assert all(torch.equal(converted[name], tensor) for name, tensor in state.items())
    monkeypatch.setattr(pickled, "run_child", None)
    assert convert_pickle(tmp_path / "model.bin", target) == target


def test_a_full_disk_is_not_taken_for_damaged_weights(tmp_path):
    torch.save({"a": torch.ones(9)}, tmp_path / "model.bin")
    with full_disk(), pytest.raises(UserError, match="the disk is full"):
        convert_pickle(tmp_path / "model.bin", tmp_path / "cache" / "model.safetensors")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("content", ["code", "list", "number", "noise", "cut"])
def test_a_pickle_that_holds_anything_else_is_refused_and_never_run(content, tmp_path):
    marker, file = tmp_path / "was-run", tmp_path / "model.bin"
    if content == "noise":
        file.write_bytes(b"\x80\x04 not a pickle at all")
    else:
        value = {"code": _Malicious(marker), "list": [torch.ones(2)], "number": {"a": 1}}
        torch.save(value.get(content, {"a": torch.ones(999)}), file)
    if content == "cut":
        file.write_bytes(file.read_bytes()[:1000])
    target = tmp_path / "cache" / "model.safetensors"
    with pytest.raises(UserError, match=r"model\.bin: the weights were rejected"):
        convert_pickle(file, target)
    assert not marker.exists()
    assert not list(target.parent.iterdir())


def test_dmd2_is_sdxl_with_other_weights_and_its_own_step(folder, tmp_path, monkeypatch):
    state = {k: v.half() for k, v in tiny_pipeline(seed=1).unet.state_dict().items()}
    torch.save(state, tmp_path / "dmd2.bin")
    asked = []

    def download(repository, file, **options):
        asked.append((repository, file, options))
        return str(tmp_path / "dmd2.bin")

    monkeypatch.setattr(pipelines, "hf_hub_download", download)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    facts = MODELS["dmd2"].painting
    pipeline = load_pipeline(folder, device="cpu", painting=facts)
    assert [where[:2] for where in asked] == [("tianweiy/DMD2", "dmd2_sdxl_1step_unet_fp16.bin")]
    assert asked[0][2]["revision"] == facts.unet[1]
    loaded = pipeline.unet.state_dict()
    assert all(torch.equal(loaded[name], tensor.float()) for name, tensor in state.items())
    model = TextToImageModel(pipeline, name="dmd2")
    assert type(pipeline.scheduler).__name__ == "LCMScheduler"
    assert model.encode(["a"]).shared["timestep"] == 399
    assert model.generate(["a"], seeds=[0])[0].size == (64, 64)


@pytest.mark.parametrize("name", ["sdxl-turbo", "sdxl-lightning"])
def test_turbo_and_lightning_start_at_the_last_timestep(name, folder, monkeypatch, tmp_path):
    save_file(tiny_pipeline().unet.state_dict(), tmp_path / "unet.safetensors")
    monkeypatch.setattr(
        pipelines, "hf_hub_download", lambda *_, **__: tmp_path / "unet.safetensors"
    )
    model = TextToImageModel(
        load_pipeline(folder, device="cpu", painting=MODELS[name].painting), name=name
    )
    assert model.encode(["a"]).shared["timestep"] == 999
    prediction = "sample" if name == "sdxl-lightning" else "epsilon"
    assert model.pipeline.scheduler.config.prediction_type == prediction
    assert model.generate(["a"], seeds=[0])[0].size == (64, 64)


def test_half_precision_files_are_found_and_loaded_in_full_precision(tmp_path):
    tiny_pipeline().to(torch.float16).save_pretrained(tmp_path, variant="fp16")
    pipeline = load_pipeline(tmp_path, device="cpu")
    assert {p.dtype for p in pipeline.unet.parameters()} == {torch.float32}


def test_a_pipeline_of_another_kind_is_refused(index):
    index.write_text(index.read_text().replace("StableDiffusionXLPipeline", "KandinskyPipeline"))
    with pytest.raises(UserError, match="of the kind 'KandinskyPipeline'"):
        load_model(str(index.parent), device="cpu")


def test_a_pipeline_that_brings_code_is_refused_and_never_run(index):
    marker = index.parent / "was-run"
    (index.parent / "mine.py").write_text(f"open({str(marker)!r}, 'w')\nclass Tokenizer: ...\n")
    parts = json.loads(index.read_text())
    index.write_text(json.dumps({**parts, "tokenizer_2": ["mine", "Tokenizer"]}))
    with pytest.raises(UserError, match="custom code for its tokenizer_2"):
        load_model(str(index.parent), device="cpu")
    assert not marker.exists()


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"_class_name": "StableDiffusionXLPipeline"}']
)
def test_a_damaged_folder_is_one_sentence(index, content):
    index.write_text(content)
    with pytest.raises(UserError, match="could not be loaded"):
        load_model(str(index.parent), device="cpu")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"_class_name": None}, "names no kind of pipeline"),
        ({"unet": None}, "names no unet"),
        ({"unet": ["diffusers", "NewUNet"]}, "is a NewUNet, which diffusers .* does not have. Up"),
        ({"scheduler": ["diffusers", "NewScheduler"]}, "Update diffusers"),
        ({"text_encoder_2": ["transformers", "NewModel"]}, "Update transformers"),
    ],
)
def test_an_index_of_another_version_is_one_sentence(index, changes, sentence):
    index.write_text(json.dumps({**json.loads(index.read_text()), **changes}))
    for use_it in (load_model, describe):
        with pytest.raises(UserError, match=sentence):
            use_it(str(index.parent))


@pytest.mark.parametrize("part", ["unet", "text_encoder_2"])
@pytest.mark.parametrize(
    "settings",
    [
        {"quant_method": "bitsandbytes", "load_in_4bit": True},
        {"quant_method": "torchao", "quant_type": "int8wo"},
    ],
    ids=["bitsandbytes", "torchao"],
)
def test_a_quantised_network_without_its_library_names_it(tmp_path, part, settings):
    tiny_pipeline().save_pretrained(tmp_path)
    file = tmp_path / part / "config.json"
    config = {**json.loads(file.read_text()), "quantization_config": settings}
    file.write_text(json.dumps(config))
    with pytest.raises(UserError, match="Install that package, or choose weights that do with"):
        load_model(str(tmp_path), device="cpu")


def _configure(folder, part, **settings):
    file = folder / part / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))


@pytest.mark.parametrize("part", ["unet", "text_encoder_2"])
@pytest.mark.parametrize(
    ("settings", "sentence"),
    [({"quant_method": "mlx"}, "by mlx, which"), ({"bits": 4}, "by a library that it does not")],
)
def test_a_quantisation_that_no_library_reads_is_named(tmp_path, part, settings, sentence):
    tiny_pipeline().save_pretrained(tmp_path)
    _configure(tmp_path, part, quantization_config=settings)
    with pytest.raises(UserError, match=f"{part}' is quantised {sentence}") as caught:
        load_pipeline(tmp_path, device="cpu")
    assert caught.value.remedy == "Choose weights that are not quantised."


def test_a_message_about_what_is_required_does_not_name_a_package(folder, monkeypatch):
    def fail(*_, **__):
        raise ValueError("the scheduler requires at least one step")

    monkeypatch.setattr("diffusers.StableDiffusionXLPipeline.from_pretrained", fail)
    with pytest.raises(UserError, match="requires at least one step") as caught:
        load_pipeline(folder, device="cpu")
    assert "package" not in caught.value.remedy


@pytest.mark.parametrize("part", ["unet", "text_encoder_2"])
def test_a_fault_of_a_library_is_not_blamed_on_the_files(folder, monkeypatch, part):
    places = {
        "unet": ("diffusers", "diffusers.models.modeling_utils.load_state_dict"),
        "text_encoder_2": ("transformers", "transformers.modeling_utils.safe_open"),
    }
    library, name = places[part]
    monkeypatch.setattr(name, None)
    with pytest.raises(
        UserError, match=rf"{library} [\d.]+ failed with \w+Error: 'None"
    ) as caught:
        load_pipeline(folder, device="cpu")
    assert f"another version of {library}" in caught.value.remedy


def test_a_value_of_no_use_in_a_configuration_is_blamed_on_the_files(tmp_path):
    tiny_pipeline().save_pretrained(tmp_path)
    _configure(tmp_path, "unet", block_out_channels="many")
    for use_it in (load_model, describe):
        with pytest.raises(UserError, match="Its files are incomplete or damaged"):
            use_it(str(tmp_path))


def test_pickled_weights_in_a_folder_are_not_read(tmp_path):
    tiny_pipeline().save_pretrained(tmp_path, safe_serialization=False)
    with pytest.raises(UserError, match="could not be loaded"):
        load_model(str(tmp_path), device="cpu")


@pytest.mark.parametrize("name", ["dmd2", "sdxl-turbo", "sdxl-lightning"])
def test_a_hub_model_without_a_hub_says_what_to_do(name, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="emoji-world needs no connection") as caught:
        load_model(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (URLError("Name or service not known"), True),
        (TimeoutError(), True),
        (URLError(ssl.SSLError()), False),
        (HTTPError("", 429, "too many requests", None, None), False),
    ],
)
def test_a_machine_without_a_network_is_known_at_once(error, expected, monkeypatch):
    def urlopen(*_, timeout):
        assert timeout < 5
        raise error

    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "urlopen", urlopen)
    assert hub.unreachable() == expected


def test_missing_weights_of_the_shipped_model_say_where_they_belong(monkeypatch, tmp_path):
    monkeypatch.setattr("lineas_core.models.embedded.ASSETS", tmp_path)
    with pytest.raises(UserError, match="missing from assets/models/emoji-world"):
        load_model("emoji-world")


def test_a_pipeline_in_bfloat16_paints_with_a_decoder_in_float32(folder):
    model = load_model(str(folder), device="cpu", dtype=torch.bfloat16)
    assert model.network.dtype == torch.bfloat16
    assert model.pipeline.vae.dtype == torch.float32
    (picture,) = model.generate(["a cat"], seeds=[0])
    assert len(set(picture.getdata())) > 1
