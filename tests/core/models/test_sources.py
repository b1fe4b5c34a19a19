import json

import pytest
import torch

from lineas_core import UserError, load_model
from tests.fakes import save_model, tiny_language_model


@pytest.fixture
def folder(tmp_path):
    save_model(tiny_language_model(), tmp_path / "model")
    return tmp_path / "model"


def _configure(folder, **settings):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))


def _pickled(folder):
    (folder / "model.safetensors").unlink()
    torch.save({"a": torch.ones(2)}, folder / "pytorch_model.bin")


def _gguf(folder):
    (folder / "model.safetensors").rename(folder / "model.gguf")


def _adapter(folder):
    (folder / "config.json").rename(folder / "adapter_config.json")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_pickled, "no weights in safetensors.*Pickled weights are not read"),
        (_gguf, "no weights in safetensors.*that the GGUF file was made from"),
        (_adapter, "holds an adapter: merge it"),
        (lambda folder: (folder / "config.json").unlink(), "damaged.*download them again"),
    ],
)
def test_a_folder_without_weights_says_what_it_lacks(folder, change, sentence):
    change(folder)
    with pytest.raises(UserError, match=sentence):
        load_model(str(folder), device="cpu")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("model.safetensors", "is a file.*Give the folder that contains it"),
        ("model.gguf", "is a file.*that the GGUF file was made from"),
        ("absent", "there is no folder"),
    ],
)
def test_a_path_that_is_no_folder_is_not_looked_up_on_the_hub(folder, name, sentence):
    (folder / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(UserError, match=sentence):
        load_model(str(folder / name), device="cpu")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"model_type": "t5"}, "is a t5, an encoder with a decoder"),
        ({"model_type": "pegasus"}, "is a pegasus, an encoder with a decoder"),
        ({"model_type": "vit"}, "is a vit, which writes no texts"),
        ({"model_type": "llama99"}, "does not know its architecture.*Update transformers"),
        ({"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}}, "never run"),
    ],
)
def test_a_configuration_of_no_usable_network_is_one_sentence(folder, settings, sentence):
    _configure(folder, **settings)
    with pytest.raises(UserError, match=sentence) as caught:
        load_model(str(folder), device="cpu")
    assert "\n" not in str(caught.value)


def test_a_configuration_of_another_library_is_one_sentence(folder):
    (folder / "config.json").write_text("{}")
    with pytest.raises(UserError, match="names no model type of transformers"):
        load_model(str(folder), device="cpu")


@pytest.mark.parametrize(
    "settings",
    [
        {"quant_method": "bitsandbytes", "load_in_4bit": True},
        {"quant_method": "gptq", "bits": 4},
        {"quant_method": "awq", "bits": 4},
        {"quant_method": "compressed-tensors"},
    ],
)
def test_quantised_weights_without_their_library_name_it(folder, settings):
    _configure(folder, quantization_config=settings)
    with pytest.raises(UserError, match="requir.*Install that package, or choose weights that"):
        load_model(str(folder), device="cpu")
