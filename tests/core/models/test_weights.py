import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lineas_core import UserError, load_model
from lineas_core.models.weights import check_weights
from tests.architectures import tiny_model
from tests.fakes import save_model, tiny_language_model, tiny_pipeline


@pytest.fixture
def folder(tmp_path):
    save_model(tiny_language_model(), tmp_path)
    return tmp_path


def _rewrite(folder, change):
    (file,) = Path(folder).glob("*.safetensors")
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


def _configure(folder, **settings):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))


def _prefixed(prefix):
    return lambda state: {f"{prefix}{name}": value for name, value in state.items()}


def test_layers_that_the_files_lack_are_named(folder):
    _configure(folder, num_hidden_layers=3)
    reason = (
        r"9 weights have no value in its files, first model\.layers\.2\.input_layernorm\.weight"
    )
    with pytest.raises(UserError, match=reason):
        load_model(str(folder), device="cpu")


def test_layers_that_the_network_lacks_are_named(folder):
    _configure(folder, num_hidden_layers=1)
    reason = r"9 weights have no place in the network, first model\.layers\.1\.input_layernorm"
    with pytest.raises(UserError, match=reason):
        load_model(str(folder), device="cpu")


def test_another_width_is_told_with_both_shapes(folder):
    _configure(folder, intermediate_size=48)
    reason = (
        r"6 weights have another shape, first .*mlp\.down_proj\.weight \(32, 64\) for \(32, 48\)"
    )
    with pytest.raises(UserError, match=reason):
        load_model(str(folder), device="cpu")


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        (_prefixed("_orig_mod."), r"'_orig_mod\.' of a compiled network: save the network inside"),
        (_prefixed("module."), r"prefix 'module\.' of a network in a parallel wrapper"),
        (_prefixed("mine."), r"prefix 'mine\.': save the network inside, or remove the prefix"),
        (lambda s: {k.replace("1.mlp", "1._orig_mod.mlp"): v for k, v in s.items()}, "compiled"),
        (
            lambda s: {**s, "model.layers.0.mlp.lora_A.weight": s["lm_head.weight"].clone()},
            "merge_and",
        ),
        (lambda s: {k: v for k, v in s.items() if k != "lm_head.weight"}, "without an output"),
    ],
)
def test_each_cause_has_its_remedy(folder, change, remedy):
    _rewrite(folder, change)
    with pytest.raises(UserError, match=remedy):
        load_model(str(folder), device="cpu")


def test_an_output_layer_tied_to_the_embeddings_is_no_missing_weight(folder):
    _configure(folder, tie_word_embeddings=True)
    _rewrite(folder, lambda s: {k: v for k, v in s.items() if k != "lm_head.weight"})
    network = load_model(str(folder), device="cpu").network
    assert network.lm_head.weight is network.model.embed_tokens.weight


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("gpt_neo", "transformer.h.0.attn.attention.bias"),
        ("gpt_neo", "transformer.h.1.attn.attention.masked_bias"),
        ("gptj", "transformer.h.0.attn.bias"),
        ("codegen", "transformer.h.0.attn.causal_mask"),
        ("openai-gpt", "h.0.attn.bias"),
        ("xglm", "model.embed_positions.weights"),
    ],
)
def test_a_mask_that_early_versions_saved_is_no_weight_too_many(kind, name, tmp_path):
    save_model(tiny_model(kind), tmp_path)
    _rewrite(tmp_path, lambda state: {**state, name: torch.ones(1, 1, 8, 8)})
    load_model(str(tmp_path), device="cpu")


def test_weights_that_are_no_numbers_are_told_as_such(folder):
    _rewrite(folder, lambda s: {**s, "lm_head.weight": s["lm_head.weight"] * torch.nan})
    with pytest.raises(UserError, match=r"computes no numbers \(NaN\) in float32.*damaged"):
        load_model(str(folder), device="cpu")


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder_2"])
def test_a_network_of_a_pipeline_that_lacks_weights_is_named(part, tmp_path):
    tiny_pipeline().save_pretrained(tmp_path)
    _rewrite(tmp_path / part, lambda s: dict(sorted(s.items())[2:]))
    with pytest.raises(UserError, match=rf"{part}' could not be loaded \(2 weights have no value"):
        load_model(str(tmp_path), device="cpu")


def test_a_network_of_a_pipeline_with_weights_of_a_wrapper_is_refused(tmp_path):
    tiny_pipeline().save_pretrained(tmp_path)
    _rewrite(tmp_path / "unet", _prefixed("_orig_mod."))
    with pytest.raises(UserError, match="unet' .*of a compiled network"):
        load_model(str(tmp_path), device="cpu")


def test_weights_that_fit_pass():
    check_weights({"missing_keys": [], "unexpected_keys": set(), "mismatched_keys": []}, "any")
