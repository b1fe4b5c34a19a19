from copy import copy

import pytest
import torch
from diffusers import UNet2DConditionModel
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GptOssConfig,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
    SmolLM3Config,
)

from benchmarks.full_size import LANGUAGE
from lineas_core import UserError, find_modules, load_model
from lineas_core.models.catalog import MODELS
from lineas_core.steering.presets import PRESETS
from tests.fakes import SDXL_UNET

# The sizes of the published config.json files.
CONFIGS = {
    **LANGUAGE,
    "qwen2.5-1.5b": Qwen2Config(
        hidden_size=1536,
        intermediate_size=8960,
        num_hidden_layers=28,
        num_attention_heads=12,
        num_key_value_heads=2,
        vocab_size=151936,
    ),
    "deepseek-7b": LlamaConfig(
        hidden_size=4096,
        intermediate_size=11008,
        num_hidden_layers=30,
        num_attention_heads=32,
        vocab_size=102400,
    ),
    "smollm2-135m": LlamaConfig(
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        vocab_size=49152,
    ),
    "gemma-3-270m": Gemma3TextConfig(
        hidden_size=640,
        intermediate_size=2048,
        num_hidden_layers=18,
        num_attention_heads=4,
        num_key_value_heads=1,
        vocab_size=262144,
    ),
    "gemma-3-1b": Gemma3TextConfig(
        hidden_size=1152,
        intermediate_size=6912,
        num_hidden_layers=26,
        num_attention_heads=4,
        num_key_value_heads=1,
        vocab_size=262144,
    ),
    "llama-3.2-1b": LlamaConfig(
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=16,
        num_attention_heads=32,
        num_key_value_heads=8,
        vocab_size=128256,
    ),
    "llama-3.2-3b": LlamaConfig(
        hidden_size=3072,
        intermediate_size=8192,
        num_hidden_layers=28,
        num_attention_heads=24,
        num_key_value_heads=8,
        vocab_size=128256,
    ),
    "smollm3-3b": SmolLM3Config(vocab_size=128256),
    "mistral-7b": MistralConfig(vocab_size=32768),
    "gpt-oss-20b": GptOssConfig(num_hidden_layers=24, num_local_experts=32),
    **{
        name: Qwen3Config(
            hidden_size=hidden,
            intermediate_size=3 * hidden,
            num_hidden_layers=layers,
            num_attention_heads=16,
            num_key_value_heads=8,
            head_dim=128,
            vocab_size=151936,
        )
        for name, hidden, layers in (("qwen3-0.6b", 1024, 28), ("qwen3-1.7b", 2048, 28))
    },
    **{
        name: Qwen3Config(
            hidden_size=hidden,
            intermediate_size=intermediate,
            num_hidden_layers=36,
            num_attention_heads=32,
            num_key_value_heads=8,
            head_dim=128,
            vocab_size=151936,
        )
        for name, hidden, intermediate in (("qwen3-4b", 2560, 9728), ("qwen3-8b", 4096, 12288))
    },
}
_UNTIED = ("qwen2.5-7b", "deepseek-7b", "qwen3-8b", "mistral-7b", "gpt-oss-20b")


def _parameters_of_a_map(config, preset):
    with torch.device("meta"):
        network = AutoModelForCausalLM.from_config(config)
    modules = [network.get_submodule(name) for name in find_modules(network, preset)]
    return len(modules), 2 * sum(len(module.weight) for module in modules)


@pytest.mark.parametrize(
    ("name", "modules", "parameters"),
    [
        ("qwen2.5-1.5b", 28, 86_016),
        ("gemma-2-2b", 52, 239_616),
        ("qwen2.5-7b", 28, 200_704),
        ("deepseek-7b", 30, 245_760),
        ("smollm2-135m", 30, 34_560),
        ("gemma-3-270m", 36, 46_080),
    ],
)
def test_post_layernorms_have_the_paper_s_number_of_parameters(name, modules, parameters):
    # LinEAS, Tables 1 and 7: 0.086M, 0.24M, 0.20M, 0.25M.
    assert _parameters_of_a_map(CONFIGS[name], "post-layernorms") == (modules, parameters)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_catalog_knows_the_number_of_parameters(name):
    config = copy(CONFIGS[name])
    config.tie_word_embeddings = name not in _UNTIED
    with torch.device("meta"):
        network = AutoModelForCausalLM.from_config(config)
    count = network.num_parameters() / 1e9
    assert MODELS[name].parameters == pytest.approx(count, rel=0.04)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_preset_finds_modules_in_every_layer(name):
    config = CONFIGS[name]
    assert _parameters_of_a_map(config, "attention-output")[0] == config.num_hidden_layers
    assert _parameters_of_a_map(config, "all-layernorms")[0] >= 2 * config.num_hidden_layers


@pytest.fixture(scope="module")
def sdxl():
    with torch.device("meta"):
        return UNet2DConditionModel.from_config(SDXL_UNET)


@pytest.mark.parametrize(
    ("preset", "modules"),
    [
        ("all-norms", 256),
        ("feed-forward", 70),
        ("attention-qk", 280),
        ("attention-v", 140),
        ("proj-in", 11),
        ("resnet-norms", 34),
    ],
)
def test_every_preset_finds_as_many_modules_in_sdxl_as_the_paper(sdxl, preset, modules):
    assert len(find_modules(sdxl, preset)) == modules  # LinEAS, Table 3


def test_all_norms_of_sdxl_are_layer_and_group_norms(sdxl):
    norms = [sdxl.get_submodule(name) for name in find_modules(sdxl, "all-norms")]
    kinds = [type(norm).__name__ for norm in norms]
    assert (kinds.count("LayerNorm"), kinds.count("GroupNorm")) == (210, 46)
    assert sum(len(norm.weight) for norm in norms) == 294_080
    every = [m for m in sdxl.modules() if type(m).__name__ in ("LayerNorm", "GroupNorm")]
    assert norms == every


@pytest.mark.parametrize("wrong", ["all-norm", "post-layernorms", "resnets-norm", "atention-v"])
def test_a_preset_that_does_not_fit_a_unet_names_some_that_do(sdxl, wrong):
    with pytest.raises(UserError, match="all-norms|resnet-norms|attention-v"):
        find_modules(sdxl, wrong)


def test_a_pattern_that_matches_nothing_names_the_closest_modules(sdxl):
    with pytest.raises(UserError, match=r"down_blocks\.1\.attentions\.0\.proj_"):
        find_modules(sdxl, "down_blocks.1.attentions.0.proj")


def test_dmd2_has_the_parameters_of_sdxl(sdxl):
    # The two text encoders have 0.123 and 0.695 billion, the decoder and encoder 0.084.
    count = sum(parameter.numel() for parameter in sdxl.parameters()) / 1e9
    assert MODELS["dmd2"].parameters == pytest.approx(count + 0.123 + 0.695 + 0.084, abs=0.01)


def test_image_models_state_their_terms():
    licences = {name: entry.license for name, entry in MODELS.items() if entry.painting}
    assert licences["dmd2"] == "CC-BY-NC-4.0"
    assert "Non-Commercial" in licences["sdxl-turbo"]
    assert "RAIL++" in licences["sdxl-lightning"]
    assert {MODELS[name].kind for name in licences} == {"text-to-image"}
    assert {MODELS[name].preset for name in licences} == {"all-norms", "transformer-norms"}


def test_every_entry_can_be_had_from_somewhere_and_names_its_licence():
    for entry in MODELS.values():
        assert [entry.hub_id, entry.embedded, entry.folder].count(None) == 2
        assert entry.license
        assert entry.license_url.startswith("https://")
        assert entry.preset in PRESETS
        assert entry.topic_preset.removeprefix("late-") in ("", *PRESETS)


def test_an_unknown_model_names_the_catalog():
    with pytest.raises(UserError, match="smollm2-135m"):
        load_model("smolm")


def test_a_model_that_is_not_installed_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UserError, match="python -m lineas_core fetch smollm2-135m"):
        load_model("smollm2-135m")


def test_a_hub_model_without_a_hub_is_one_sentence(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="could not be loaded"):
        load_model("owner/no-such-model")
