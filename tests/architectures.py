"""The language architectures of transformers at a ten-thousandth of their size.

A configuration is that of the true class with small numbers, so that modules, caches and masks are
those of published models.

    python -m tests.architectures        tries all of them and writes docs/models.md
    python -m tests.architectures gpt2   tries one and prints its row
"""

import inspect
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch
from transformers import CONFIG_MAPPING

from lineas_core import (
    LearnConfig,
    UserError,
    fold,
    learn,
    load_maps,
    load_model,
    save_maps,
    steer,
)
from lineas_core.models import LanguageModel, Sampling
from lineas_core.models.sources import auto_class
from lineas_core.storage.fits import check_fits
from tests.fakes import save_model, tiny_language_model

PAGE = Path(__file__).parents[1] / "docs" / "models.md"
PIPELINES = "# Text-to-image pipelines\n"  # what follows is written by tests/pipelines.py
STEPS = ("load", "learn", "save", "fold", "batch", "sweep")
# One of each way to build a block, to pad and to remember.
QUICK = ("llama", "gpt2", "opt", "mamba", "rwkv", "nemotron", "gemma3", "qwen3_5_text")
_OTHERS = """
afmoe apertus arcee aria_text axk1 axk2 bailing_hybrid bamba beam biogpt bitnet bloom codegen
cohere cohere2 cohere2_moe ctrl cwm deepseek_v2 deepseek_v3 deepseek_v32 deepseek_v4 diffllama doge
dots1 dots3_note_text ernie4_5 ernie4_5_moe exaone4 exaone_moe falcon falcon_h1 falcon_mamba
flex_olmo flint gemma gemma2 gemma3_text gemma3n_text gemma4_text gemma4_unified_text glm glm4
glm4_moe glm4_moe_lite glm_moe_dsa gpt-sw3 gpt_bigcode gpt_neo gpt_neox gpt_neox_japanese gpt_oss
gptj granite granite_swa granitemoe granitemoe_swa granitemoehybrid granitemoeshared helium
hrm_text hunyuan_v1_dense hunyuan_v1_moe hy_v3 hy_v4 hyperclovax inkling2_text inkling_text
internlm3 iquestcoder jais2 jamba jetmoe kimi_linear kolibri1 laguna lfm2 lfm2_moe lfm3 llama4_text
longcat_flash mamba2 mellum mimo_v2_flash minicpm3 minimax minimax_m2 minimax_m3_vl_text ministral
ministral3 mistral mixtral modernbert-decoder moshi mpt nanochat nemotron_h olmo olmo2 olmo3
olmo_hybrid olmoe openai-gpt persimmon phi phi3 phimoe qwen2 qwen2_moe qwen3 qwen3_5_moe_text
qwen3_moe qwen3_next qwen4_exp_text recurrent_gemma seed_oss smollm3 solar_open stablelm starcoder2
trocr vaultgemma xglm xlstm youtu zamba zamba2 zaya
"""
# They also read pictures.
_SEEING = """
aya_vision glm4v internvl lfm2_vl llama4 llava mistral3 mllama qwen2_5_vl qwen3_5 qwen3_vl smolvlm
"""
ARCHITECTURES = sorted({*QUICK, *_OTHERS.split(), *_SEEING.split()})
REFUSED = ("bert", "bert-generation", "cpmant", "paligemma", "roberta", "xlm", "xlnet")
_SHORT = Sampling(max_new_tokens=4)

_SIZES = {
    **dict.fromkeys(["hidden_size", "n_embd", "d_model", "dim", "embed_dim"], 32),
    **dict.fromkeys(["word_embed_proj_dim", "attention_hidden_size"], 32),
    **dict.fromkeys(["intermediate_size", "ffn_dim", "n_inner", "decoder_ffn_dim", "dff"], 64),
    **dict.fromkeys(["encoder_ffn_dim", "ffn_hidden_size", "block_ff_dim", "dim_ff"], 64),
    **dict.fromkeys(["moe_intermediate_size", "shared_expert_intermediate_size"], 16),
    **dict.fromkeys(["num_hidden_layers", "n_layer", "n_layers", "num_layers"], 2),
    **dict.fromkeys(["decoder_layers", "encoder_layers", "num_blocks"], 2),
    **dict.fromkeys(["num_attention_heads", "n_head", "n_heads", "num_heads"], 4),
    **dict.fromkeys(["decoder_attention_heads", "encoder_attention_heads"], 4),
    **dict.fromkeys(["num_key_value_heads", "num_kv_heads"], 2),
    **dict.fromkeys(["head_dim", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"], 8),
    **dict.fromkeys(["max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"], 128),
    **dict.fromkeys(["num_experts", "num_local_experts", "n_routed_experts"], 4),
    **dict.fromkeys(["linear_num_key_heads", "linear_num_value_heads", "num_experts_per_tok"], 2),
    **dict.fromkeys(["linear_key_head_dim", "linear_value_head_dim", "mamba_d_head"], 8),
    **dict.fromkeys(["q_lora_rank", "kv_lora_rank", "index_head_dim", "lru_width"], 16),
    **{"vocab_size": 300, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2},
    **{"mamba_n_heads": 8, "initializer_range": 0.2},  # with 0.02 a tiny network is nearly linear
}
_TEXT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 8}
_TEXT |= {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 300}
_TEXT |= {"initializer_range": 0.2}
_VISION = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 4}
_VISION |= {"num_attention_heads": 4, "image_size": 28, "patch_size": 14, "depth": 4}
_VISION |= {"num_heads": 4, "out_hidden_size": 32}
_TURNS = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}
_SPECIAL = {
    "llama4": {"architectures": ["Llama4ForConditionalGeneration"]},
    "mllama": {"architectures": ["MllamaForConditionalGeneration"]},
    "gemma3": {"text_config": _TEXT, "vision_config": _VISION},
    **dict.fromkeys(
        ["deepseek_v2", "deepseek_v3", "deepseek_v32", "dots3_note_text", "glm_moe_dsa"],
        {"num_key_value_heads": 4},
    ),
    **dict.fromkeys(["glm4_moe_lite", "minicpm3", "youtu"], {"num_key_value_heads": 4}),
    "axk2": {"num_key_value_heads": 4, "kv_lora_rank": 8},
    "axk1": {"num_key_value_heads": 4, "n_group": 1, "topk_group": 1},
    "bamba": {"attn_layer_indices": [1]},
    "codegen": {"rotary_dim": 8},
    "falcon_h1": {"mamba_d_ssm": 64, "mamba_n_groups": 1},
    "gemma3n_text": {
        "num_hidden_layers": 4,
        "num_kv_shared_layers": 2,
        "vocab_size_per_layer_input": 300,
        "hidden_size_per_layer_input": 8,
    },
    "gptj": {"rotary_dim": 8},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"], "mamba_n_groups": 1},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "kimi_linear": {"num_key_value_heads": 4},
    "qwen3_next": {"layer_types": ["linear_attention", "full_attention"]},
    "gemma4_text": {"vocab_size_per_layer_input": 300, "hidden_size_per_layer_input": 8},
    "gpt_neo": {"attention_types": [[["global"], 2]]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "longcat_flash": {
        "ffn_hidden_size": 64,
        "expert_ffn_hidden_size": 16,
        "num_key_value_heads": 4,
        "moe_topk": 2,
        "zero_expert_num": 2,
    },
    "dots1": {"n_shared_experts": 1},
    "zaya": {"num_experts_per_tok": 1},
    "mamba2": {"num_heads": 8, "head_dim": 8, "n_groups": 1, "state_size": 8},
    "modernbert-decoder": {"local_attention": 16},
    "nemotron_h": {"mamba_num_heads": 8, "mamba_head_dim": 8, "n_groups": 1},
    "qwen3_5_text": {
        "layer_types": ["linear_attention", "full_attention"] * 2,
        "num_hidden_layers": 4,
    },
    "recurrent_gemma": {"num_hidden_layers": 3},
    "rwkv": {"attention_hidden_size": 32, "context_length": 128},
    "zamba": {
        "attention_hidden_size": 64,
        "attention_head_dim": 16,
        "layers_block_type": ["linear_attention", "hybrid"] * 2,
        "num_hidden_layers": 4,
    },
    "zamba2": {"layers_block_type": ["linear_attention", "hybrid"]},
}


def tiny_config(kind):
    """Build the configuration of a model type with two blocks of width 32 and 300 words."""
    config_class = CONFIG_MAPPING[kind]
    parts = {name: _sizes_of(name, config_class) for name in ("text_config", "vision_config")}
    parts = {name: sizes for name, sizes in parts.items() if sizes}
    return config_class(**{**_known(config_class, _SIZES), **parts, **_SPECIAL.get(kind, {})})


def _sizes_of(part, config_class):
    """Return small numbers for a part of the configuration of a network that reads pictures."""
    if part not in config_class.sub_configs:
        return {}
    kind = type(getattr(config_class(), part))  # a class of its own, or that of another network
    sizes = {**_SIZES, **(_TEXT if part == "text_config" else _VISION)}
    if part == "text_config" and config_class.model_type in ("glm4v", "qwen2_5_vl"):
        sizes["rope_parameters"] = _TURNS
    return {"model_type": kind.model_type, **_known(kind, sizes)}


def _known(config_class, sizes):
    known = inspect.signature(config_class.__init__).parameters
    return {name: size for name, size in sizes.items() if name in known}


def tiny_network(kind, seed=0):
    """Build a network of a model type with random weights, norms included."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = tiny_config(kind)
        network = auto_class(config).from_config(config).eval()
        for name, parameter in network.named_parameters():
            if "norm" in name or ".ln" in name or not parameter.std() > 0:  # some begin at 0
                parameter.data += 0.1 * torch.randn_like(parameter)
    return network


def tiny_model(kind, seed=0):
    """Build a model of a type whose tokens are bytes."""
    tokenizer = tiny_language_model().tokenizer
    return LanguageModel(tiny_network(kind, seed), tokenizer, name=kind)


class Row(NamedTuple):
    """What was tried on an architecture: the modules it learns by default, and what went wrong."""

    kind: str
    modules: str
    step: str = ""
    reason: str = ""


def try_out(kind):
    """Take an architecture through all steps and return its row."""
    tried = _steps(kind)
    modules, step = "", STEPS[0]
    try:
        for step in STEPS:  # noqa: B007 - read after an error
            modules = next(tried) or modules
    except (UserError, AssertionError) as error:
        return Row(kind, modules, step, str(error))
    return Row(kind, modules)


def _steps(kind):
    """Do one step of `STEPS` at a time; the first yields the pattern of the default modules."""
    with TemporaryDirectory() as folder:
        model = load_model(save_model(tiny_model(kind), folder), device="cpu")
        assert model.default_modules, "no default modules"
        patterns = {re.sub(r"\.\d+\.", ".N.", name) for name in model.default_modules}
        yield ", ".join(sorted(patterns))
        sides = ["a b", "c d e", "k l"], ["e f g", "h", "i j"]
        maps = learn(model, *sides, config=LearnConfig(iterations=2))
        assert set(maps) == set(model.default_modules), "modules without a map"
        assert maps.metadata["loss_start"] > 0, "the two sides give the same activations"
        yield ""
        save_maps(maps, Path(folder, "map"))
        check_fits(maps := load_maps(Path(folder, "map")), model)
        yield ""
    assert not (wrong := unlike_hooks(model, maps, ["hello there", "you"])), wrong
    yield ""
    texts, seeds = ["ab", "a longer one", "ab"], [1, 2, 1]
    with steer(model.network, maps, [1.0, 1.0, 0.0]):
        together = model.generate(texts, seeds=seeds, sampling=_SHORT)
    with steer(model.network, maps, 1.0):
        alone = [model.generate([t], seeds=[s], sampling=_SHORT)[0] for t, s in zip(texts, seeds)]  # noqa: B905
    assert together[:2] == alone[:2], "texts in a batch differ from those alone"
    yield ""
    assert model.generate(["ab"], seeds=[1], sampling=_SHORT) == together[2:], "0 is not neutral"
    yield ""


@torch.no_grad()
def unlike_hooks(model, maps, prompts):
    """Say how folded maps differ from hooked ones, beyond rounding; empty if they do not."""
    inputs = model.encode(prompts)
    plain = model.forward(inputs)
    with steer(model.network, maps, 3.0):
        hooked = model.forward(inputs)
    with fold(model.network, maps, 3.0):
        folded = model.forward(inputs)
    effect, error = (hooked - plain).abs().max(), (folded - hooked).abs().max()
    if not effect > 0:
        return "maps have no effect"
    return f"folding is off by {error / effect:.0%} of the effect" if error > 0.01 * effect else ""


def page(rows):
    """Format docs/models.md."""
    refused = [refusal(kind) for kind in REFUSED]
    lines = [
        "# Language models",
        "",
        "Architectures of transformers, tried on tiny networks of their true classes: saved and",
        "loaded, a map learnt at the default modules, saved and checked, folded as it is hooked,",
        "texts in a batch as each alone, and strengths by row with 0 as the original. Written by",
        "`python -m tests.architectures`; the slow tests try all of them, the others a few.",
        "Networks that also read pictures are steered on texts.",
        "",
        f"| model type | default modules | {' | '.join(STEPS)} |",
        f"|---|---{'|---' * len(STEPS)}|",
        *map(_line, rows),
        "",
        "Refused when they are loaded, because they do not continue texts:",
        "",
        *(f"- {sentence}" for sentence in refused),
        "",
    ]
    return "\n".join(lines)


def refusal(kind):
    """Return the sentence with which a model type is refused."""
    try:
        tiny_model(kind)
    except UserError as error:
        return str(error)
    raise AssertionError(f"{kind} is not refused")


def _line(row):
    done = STEPS.index(row.step) if row.step else len(STEPS)
    cells = ["yes"] * done + [row.reason] * bool(row.step) + [""] * (len(STEPS) - done - 1)
    return f"| {row.kind} | `{row.modules}` | {' | '.join(cells[: len(STEPS)])} |"


if __name__ == "__main__":
    tried = []
    for name in sys.argv[1:] or ARCHITECTURES:
        tried.append(try_out(name))
        print(_line(tried[-1]), flush=True)  # noqa: T201
    if not sys.argv[1:]:
        pipelines = PAGE.read_text(encoding="utf-8").partition(PIPELINES)[1:]
        PAGE.write_text(page(tried) + "\n" + "".join(pipelines), encoding="utf-8")
