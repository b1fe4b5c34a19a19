import errno
import json

import pytest

from lineas_core import UserError, load_model
from lineas_core.models import describe, installed, kind_of
from lineas_core.models.outline import paints
from lineas_core.models.pretrained import load_checkpoint
from tests.fakes import save_model, tiny_language_model, tiny_pipeline


@pytest.fixture
def folder(tmp_path):
    save_model(tiny_language_model(), tmp_path / "model")
    return tmp_path / "model"


def _configure(folder, **settings):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))


def _gguf(folder):
    (folder / "model.safetensors").rename(folder / "model.gguf")


def _adapter(folder):
    (folder / "config.json").rename(folder / "adapter_config.json")


def _both(folder):
    (folder / "adapter_config.json").write_text("{}")


def _saved_as(name):
    return lambda folder: (folder / "model.safetensors").rename(folder / name)


def _single(folder):
    for file in [*folder.iterdir()]:
        file.unlink()
    (folder / "sd_xl_base_1.0.safetensors").touch()


def _inside(folder, *path):
    whole = folder.rename(folder.with_name("whole"))
    folder.joinpath(*path[:-1]).mkdir(parents=True)
    whole.rename(folder.joinpath(*path))


def _trained(folder):
    _inside(folder, "checkpoint-500")


def _cached(folder):
    _inside(folder, "snapshots", "abc")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_gguf, "no weights in safetensors.*that the GGUF file was made from"),
        (_adapter, "it holds an adapter.*Merge it into its model"),
        (_both, "it holds an adapter.*remove adapter_config.json"),
        (_saved_as("tf_model.h5"), "no weights in safetensors.*for another library"),
        (_saved_as("model.onnx"), "no weights in safetensors.*for another library"),
        (_saved_as("consolidated.00.pth"), "no weights in safetensors.*Pickled weights can"),
        (_saved_as("consolidated.safetensors"), "/model.safetensors is missing"),
        (_saved_as("model-00001-of-00002.safetensors"), "safetensors.index.json is missing"),
        (_single, "config.json is missing.*`from_single_file`"),
        (_trained, "config.json is missing.*Give a folder inside it, such as .*checkpoint-500"),
        (_cached, "config.json is missing.*Give a folder inside it, such as .*snapshots/abc"),
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
        ("pytorch_model.bin", "is a file.*Give the folder that contains it"),
        ("optimizer.bin", "is a file.*Pickled weights can contain code"),
        ("../v1-5.ckpt", "is a file.*Pickled weights can contain code"),
        ("../sd_xl_base_1.0.safetensors", "is a file.*`from_single_file`"),
    ],
)
def test_a_path_that_is_no_folder_is_not_looked_up_on_the_hub(folder, name, sentence):
    names = ("model.gguf", "pytorch_model.bin", "optimizer.bin")
    for file in (*names, "../v1-5.ckpt", "../sd_xl_base_1.0.safetensors"):
        (folder / file).touch()
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


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"hidden_size": "a lot"}, "a value of no use.*'hidden_size' expected int, got str"),
        ({"num_attention_heads": 5}, "a value of no use.*not a multiple of the number of att"),
        ({"dtype": "float99"}, "a value of no use.*no attribute 'float99'"),
        ({"hidden_act": "nonsense"}, "transformers does not know 'nonsense'"),
        ({"quantization_config": "4bit"}, "a value of no use"),
        ({"quantization_config": {"quant_method": "own"}}, "quantised by own, which transf"),
        ({"quantization_config": {"bits": 4}}, "quantised by a library that it does not name"),
    ],
)
def test_a_configuration_with_a_value_of_no_use_is_one_sentence(folder, settings, sentence):
    _configure(folder, **settings)
    for use_it in (load_model, describe):
        with pytest.raises(UserError, match=sentence) as caught:
            use_it(str(folder))
        assert "\n" not in str(caught.value)


def test_a_fault_of_a_library_is_not_blamed_on_the_configuration(folder):
    with pytest.raises(UserError, match=r"transformers [\d.]+ failed with TypeError") as caught:
        load_checkpoint(folder, unknown=1)
    assert "config.json" not in str(caught.value)
    assert "Install another version of transformers" in caught.value.remedy
    assert "\n" not in str(caught.value)


def test_a_fault_of_a_library_that_breaks_every_network_of_a_kind_is_its_own(folder, monkeypatch):
    monkeypatch.setattr("transformers.models.llama.modeling_llama.LlamaAttention", None)
    for use_it in (load_model, describe):
        with pytest.raises(UserError, match=r"transformers [\d.]+ failed with TypeError: 'None"):
            use_it(str(folder))


def test_a_fault_of_this_project_is_no_error_of_the_user(folder, monkeypatch):
    monkeypatch.setattr("lineas_core.models.pretrained.check_writes", None)
    with pytest.raises(TypeError):
        load_model(str(folder), device="cpu")


def test_a_tokenizer_that_cannot_be_read_is_named(folder):
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="its tokenizer cannot be read"):
        load_model(str(folder), device="cpu")


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder_2"])
def test_a_part_of_a_pipeline_is_named_with_the_way_to_the_whole(tmp_path, part):
    tiny_pipeline().save_pretrained(tmp_path)
    with pytest.raises(UserError, match=f"is the {part} of a pipeline.*whole pipeline"):
        load_model(str(tmp_path / part), device="cpu")


def test_a_control_net_is_no_language_model(folder):
    _configure(folder, _class_name="ControlNetModel")
    with pytest.raises(UserError, match="is the ControlNetModel of a pipeline"):
        load_model(str(folder), device="cpu")


@pytest.mark.parametrize("name", ["x" * 300, "~nobody-of-this-name/model", f"owner/{'x' * 300}"])
def test_a_name_that_nothing_can_have_is_one_sentence(name):
    for use_it in (load_model, describe, paints):
        with pytest.raises(UserError) as caught:
            use_it(name)
        assert "\n" not in str(caught.value)
    assert (installed(name), kind_of(name)) == (False, "language")


def test_a_folder_that_cannot_be_read_is_one_sentence(folder, monkeypatch):
    def forbidden(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.iterdir", forbidden)  # root may read any folder
    with pytest.raises(UserError, match="Permission denied.*Check the path and its permissions"):
        load_model(str(folder), device="cpu")


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
