import re

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

from lineas_core import UserError, find_modules
from lineas_core.models.language import PRESETS
from lineas_core.steering.presets import expected_modules
from tests.architectures import tiny_config

# What follows the first norm of a block, and what attention or its like writes.
PARTS = {
    "gpt2": ("ln_2", "attn.c_proj"),
    "gpt_neo": ("ln_2", "attn.attention.out_proj"),
    "opt": ("final_layer_norm", "self_attn.out_proj"),
    "mpt": ("norm_2", "attn.out_proj"),
    "xglm": ("final_layer_norm", "self_attn.out_proj"),
    "rwkv": ("ln2", "attention.output"),
    "recurrent_gemma": ("channel_pre_norm", "temporal_block.linear_out"),
    "modernbert-decoder": ("mlp_norm", "attn.Wo"),
    "gptj": (None, "attn.out_proj"),
    "codegen": (None, "attn.out_proj"),
    "mamba": (None, "mixer.out_proj"),
    "llama": ("post_attention_layernorm", "self_attn.o_proj"),
    "axk2": ("post_attention_layernorm", "self_attn.o_proj"),  # with a gate inside
}


def _network(kind):
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(tiny_config(kind))


def _parts(names):
    return {re.sub(r"^.*?\.\d+\.", "", name) for name in names}


@pytest.mark.parametrize("kind", PARTS)
def test_the_parts_of_a_block_are_found_whatever_they_are_called(kind):
    network = _network(kind)
    norm, output = PARTS[kind]
    count = network.config.num_hidden_layers
    found = find_modules(network, "attention-output")
    assert len(found) == count
    assert output in _parts(found)
    if norm:
        found = find_modules(network, "post-layernorms")
        assert (len(found), _parts(found)) == (count, {norm})


def test_every_block_of_a_mixed_network_is_found():
    found = find_modules(_network("qwen3_5_text"), "attention-output")
    assert _parts(found) == {"linear_attn.out_proj", "self_attn.o_proj"}
    assert len(found) == 4


def test_towers_for_pictures_are_left_out():
    with torch.device("meta"):
        network = AutoModelForCausalLM.from_config(_gemma())
    tower = [name for name, _ in network.named_modules() if "vision" in name]
    assert any(re.fullmatch(r".*layer_?norm.*", name) for name in tower)
    for preset in ("post-layernorms", "attention-output", r".*norm.*", r".*out_proj"):
        found = find_modules(network, preset)
        assert found
        if preset != r".*out_proj":  # only the tower has those
            assert all(".language_model." in name for name in found)


def test_a_norm_that_only_the_tower_has_is_not_expected_to_be_steered():
    with torch.device("meta"):
        network = AutoModelForImageTextToText.from_config(tiny_config("aya_vision"))
    found = expected_modules(network, PRESETS)
    assert _parts(found) == {"self_attn.o_proj"}
    assert all(".language_model." in name for name in found)


def _gemma():
    text = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 8}
    text |= {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 300}
    vision = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 4}
    vision |= {"num_attention_heads": 4, "image_size": 28, "patch_size": 14}
    return AutoConfig.for_model("gemma3", text_config=text, vision_config=vision)


def test_a_pattern_that_fits_nothing_is_answered_with_those_that_do():
    network = _network("gpt2")
    with pytest.raises(UserError, match="choose with `--modules`") as caught:
        find_modules(network, r".*ln_9")
    offered = str(caught.value).partition("The closest are ")[2].partition("; ")[0].split(", ")
    assert all(find_modules(network, pattern) for pattern in offered)


@pytest.mark.parametrize("preset", ["attention-output", "post-layernorms", r".*ln_[12]"])
def test_late_selects_the_last_third_of_a_preset_or_pattern(preset):
    network = _network("gpt2")
    found = find_modules(network, preset)
    late = find_modules(network, f"late-{preset}")
    assert late == found[-len(late) :]
    assert 3 * len(late) - 2 <= len(found) <= 3 * len(late)


def test_late_modules_of_an_unknown_preset_are_refused_like_the_preset():
    with pytest.raises(UserError, match="matches 'nope'"):
        find_modules(_network("gpt2"), "late-nope")


def test_a_network_without_a_text_has_no_blocks():
    blocks = nn.ModuleList(nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4)) for _ in range(2))
    with pytest.raises(UserError, match="no module of this network"):
        find_modules(nn.ModuleDict({"layers": blocks}), "post-layernorms")
