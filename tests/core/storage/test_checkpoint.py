import json
import sys

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from lineas_core import AffineMap, SteeringMaps, UserError, find_modules, steer
from lineas_core.models import LanguageModel, damage, installed, load_model
from lineas_core.models.base import fingerprint
from lineas_core.models.calls import unpack
from lineas_core.steering.low_rank import LowRankMap
from lineas_core.storage.checkpoint import export_checkpoint
from lineas_core.storage.maps import load_maps
from tests.fakes import save_model, tiny_image_model, tiny_language_model
from tests.full_disk import full_disk
from tests.killed import killed_while
from tests.pipelines import model_of
from tests.tolerance import IMAGE_NETWORK, TEXT_NETWORK, tolerance

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.2,  # with the usual 0.02 a tiny network is nearly linear
}
BIASES = {"attention_bias": True, "mlp_bias": True}
FAMILIES = {
    "llama": (LlamaForCausalLM, LlamaConfig, {}),
    "llama with biases": (LlamaForCausalLM, LlamaConfig, BIASES),
    "mistral": (MistralForCausalLM, MistralConfig, {"sliding_window": None, "head_dim": 16}),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config, {}),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config, {"head_dim": 16}),
    "gemma3": (Gemma3ForCausalLM, Gemma3TextConfig, {"head_dim": 16}),
    "gpt-neox": (GPTNeoXForCausalLM, GPTNeoXConfig, {}),
}
NORMS_AND_OUTPUT = r".*(input_layernorm|o_proj)"
PROMPTS = ["a b c d", "the end of it"]


def _model(family, dtype=torch.float32, **settings):
    kind, config, own = FAMILIES[family]
    tokenizer = tiny_language_model().tokenizer
    special = {k: getattr(tokenizer, k) for k in ("bos_token_id", "eos_token_id", "pad_token_id")}
    facts = {**SMALL, **special, "vocab_size": len(tokenizer), **own, **settings}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = kind(config(**facts)).requires_grad_(False)
        for name, parameter in network.named_parameters():
            if "norm" in name or name.endswith("bias"):  # fresh ones are 1 and 0
                parameter.add_(0.3 * torch.randn_like(parameter))
    return LanguageModel(network.to(dtype), tokenizer, name="tiny")


def _maps(model, pattern, *, size=0.5, shift=True, seed=0):
    draw = torch.Generator().manual_seed(seed)
    steps = {}
    for name in find_modules(model.network, pattern):
        width = len(model.network.get_submodule(name).weight)
        scale = 1 + size * torch.randn(width, generator=draw)
        steps[name] = AffineMap(scale, shift * size * torch.randn(width, generator=draw))
    facts = {"model": model.name, "title": "A map"}
    return SteeringMaps(steps, {**facts, "fingerprint": fingerprint(model.network, list(steps))})


def _show(name, proof):
    """Write what docs/serving.md reports; `pytest -s` shows it."""
    sys.stdout.write(f"\n{name}: {proof}\n")


def test_a_tokenizer_with_several_chat_templates_is_exported_with_them(tmp_path):
    model = _model("llama")
    model.tokenizer.chat_template = {"default": "{{ messages }}", "tool_use": "{{ tools }}"}
    export_checkpoint([_maps(model, "attention-output")], [1], model, tmp_path / "baked")
    exported = AutoTokenizer.from_pretrained(tmp_path / "baked")
    assert exported.chat_template == model.tokenizer.chat_template
    assert all(file.stat().st_mode & 0o044 for file in (tmp_path / "baked").rglob("*"))


def _logits(network, tokenizer):
    tokens = tokenizer(PROMPTS[0], return_tensors="pt")
    with torch.no_grad():
        return network(input_ids=tokens["input_ids"]).logits.float()


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(
    ("family", "pattern"),
    [
        ("llama", "attention-output"),
        ("llama", "all-layernorms"),
        ("llama with biases", "all-layernorms"),
        ("llama with biases", r".*_proj"),
        ("mistral", "post-layernorms"),
        ("mistral", NORMS_AND_OUTPUT),
        ("qwen2", "attention-output"),
        ("qwen2", r".*(layernorm|_proj)"),
        ("qwen3", NORMS_AND_OUTPUT),
        ("gemma3", NORMS_AND_OUTPUT),
        ("gpt-neox", r".*(layernorm|dense)"),
    ],
)
def test_a_folder_computes_what_the_steered_model_does(family, pattern, tied, tmp_path):
    model = _model(family, tie_word_embeddings=tied)
    maps = _maps(model, pattern)
    proof = export_checkpoint([maps], [0.8], model, tmp_path / "baked")
    _show(f"{family}, {pattern}", proof)
    with steer(model.network, maps, 0.8):
        steered = _logits(model.network, model.tokenizer)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "baked")
    found = _logits(AutoModelForCausalLM.from_pretrained(tmp_path / "baked"), tokenizer)
    limits = tolerance(terms=TEXT_NETWORK, scale=steered.abs().max().item())
    torch.testing.assert_close(found, steered, **limits)
    effect = (steered - _logits(model.network, model.tokenizer)).abs().max().item()
    assert effect > 1
    assert proof.exact
    assert proof.effect > 1
    assert proof.error < 1e-3 * proof.effect


@pytest.mark.parametrize("strength", [-1.0, -0.3, 0.0])
def test_a_strength_below_zero_is_the_inverse_and_zero_the_model(strength, tmp_path):
    model = _model("qwen2")
    maps = _maps(model, "attention-output", size=0.2)
    proof = export_checkpoint([maps], [strength], model, tmp_path / "baked")
    assert (proof.effect > 0) == (strength < 0)
    config = json.loads((tmp_path / "baked" / "config.json").read_text())
    assert config["model_type"] == ("llama" if strength else "qwen2")


def test_several_maps_act_in_their_order(tmp_path):
    model = _model("llama")
    first, second = (
        _maps(model, p, seed=n) for n, p in enumerate(("all-layernorms", NORMS_AND_OUTPUT))
    )
    export_checkpoint([first, second], [0.7, -0.2], model, tmp_path / "baked")
    with steer(model.network, first, 0.7), steer(model.network, second, -0.2):
        steered = _logits(model.network, model.tokenizer)
    found = _logits(AutoModelForCausalLM.from_pretrained(tmp_path / "baked"), model.tokenizer)
    limits = tolerance(terms=TEXT_NETWORK, scale=steered.abs().max().item())
    torch.testing.assert_close(found, steered, **limits)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_weights_keep_their_precision(dtype, tmp_path):
    model = _model("llama", dtype)
    proof = export_checkpoint([_maps(model, ".*o_proj")], [1.0], model, tmp_path / "baked")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "baked").dtype == dtype
    assert proof.exact


def test_nothing_of_a_call_stays_in_the_files(tmp_path):
    model = LanguageModel.load(save_model(_model("llama"), tmp_path / "source"))
    model.network.generation_config.top_k = 7  # transformers does not save it without sampling
    model.tokenizer.chat_template = "{{ messages[0].content }}"
    model.encode(PROMPTS)
    export_checkpoint([_maps(model, ".*o_proj")], [1.0], model, tmp_path / "baked")
    backend = json.loads((tmp_path / "baked" / "tokenizer.json").read_text())
    assert (backend["truncation"], backend["padding"]) == (None, None)
    read = LanguageModel.load(tmp_path / "baked")
    assert read.tokenizer.chat_template == model.tokenizer.chat_template
    assert read.network.generation_config.top_k == 7
    for file in (tmp_path / "baked").glob("*.json"):
        assert str(tmp_path) not in file.read_text()
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "baked").iterdir()} == {0o644}


def test_the_card_says_what_is_in_the_weights(tmp_path):
    model = _model("qwen2")
    maps = [_maps(model, ".*o_proj"), _maps(model, ".*o_proj", seed=1)]
    maps[0].metadata.update(title="Football", license="cc0-1.0")
    proof = export_checkpoint(maps, [0.8, -0.25], model, tmp_path / "baked")
    card = (tmp_path / "baked" / "README.md").read_text()
    assert "Football: strength λ = 0.8, licence of the map: cc0-1.0" in card
    assert "A map: strength λ = -0.25, licence of the map: that of the base model" in card
    assert str(proof) in card
    assert 'pipeline_tag: "text-generation"' in card


REFUSED = {
    "gemma3": (".*post_attention_layernorm", {}, "no bias for the shifts of 2 of the modules"),
    "qwen3": ("post-layernorms", {}, "such as model.layers.0.post_attention_layernorm"),
    "qwen2": (".*o_proj|lm_head", {}, "LlamaForCausalLM has no bias.*such as lm_head"),
    "mistral": (".*o_proj", {"sliding_window": 64}, "window of 64 tokens has no class with bia"),
    "llama": ("model.embed_tokens", {}, r"\(Embedding\) is neither a known norm nor linear"),
}


@pytest.mark.parametrize("family", REFUSED)
def test_what_would_not_be_exact_is_refused_with_the_way_out(family, tmp_path):
    pattern, settings, sentence = REFUSED[family]
    model = _model(family, **settings)
    if family == "llama":
        width = {"model.embed_tokens": AffineMap.identity(32)}
        maps = SteeringMaps(width, {"model": "tiny"})
    else:
        maps = _maps(model, pattern)
    with pytest.raises(UserError, match=f"{sentence}.*`lineas generate`.*`lineas serve`"):
        export_checkpoint([maps], [1.0], model, tmp_path / "baked")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("family", ["gemma3", "qwen3", "mistral"])
def test_a_map_without_shift_needs_no_bias(family, tmp_path):
    model = _model(family, **({"sliding_window": 64} if family == "mistral" else {}))
    maps = _maps(model, ".*norm", shift=False)
    proof = export_checkpoint([maps], [1.0], model, tmp_path / "baked")
    assert proof.effect > 1
    config = json.loads((tmp_path / "baked" / "config.json").read_text())
    assert config["architectures"] == [type(model.network).__name__]
    assert config["sliding_window"] == model.network.config.sliding_window


def test_maps_of_low_rank_are_refused(tmp_path):
    model = _model("llama")
    step = LowRankMap(torch.ones(32, 1), torch.ones(1, 32), torch.zeros(1))
    maps = SteeringMaps({"model.layers.1.self_attn.o_proj": step}, {"model": "tiny"})
    with pytest.raises(UserError, match="1 of 1 maps are of low rank"):
        export_checkpoint([maps], [1.0], model, tmp_path / "baked")


def test_maps_of_another_model_are_refused(tmp_path):
    maps = _maps(_model("llama"), ".*o_proj")
    with pytest.raises(UserError, match="this map was learnt on"):
        export_checkpoint([maps], [1.0], tiny_language_model(seed=1), tmp_path / "baked")


def test_a_folder_that_computes_something_else_is_deleted(tmp_path):
    model = _model("llama")
    model.network.model.layers[0].mlp.act_fn = torch.nn.Tanh()  # no configuration says so
    with pytest.raises(
        UserError, match="differs from the steered one .largest error .* was deleted"
    ):
        export_checkpoint([_maps(model, ".*o_proj")], [1.0], model, tmp_path / "baked")
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_kept(tmp_path):
    model = _model("llama")
    (tmp_path / "baked").mkdir()
    with pytest.raises(UserError, match="baked: a folder of this name exists. Delete it"):
        export_checkpoint([_maps(model, ".*o_proj")], [1.0], model, tmp_path / "baked")
    assert not list((tmp_path / "baked").iterdir())


def test_a_full_disk_leaves_nothing(tmp_path):
    model = _model("llama")
    maps = _maps(model, ".*o_proj")
    sentence = "the model was not saved.*Free some disk space"
    with full_disk(), pytest.raises(UserError, match=sentence):
        export_checkpoint([maps], [1.0], model, tmp_path / "baked")
    assert not list(tmp_path.iterdir())


def test_a_killed_process_leaves_whole_folders_only(tmp_path):
    model = _model("llama")
    maps = _maps(model, ".*o_proj")

    def work(turn):
        torch.set_num_threads(1)  # the threads of this process do not exist in its child
        export_checkpoint([maps], [1.0], model, tmp_path / f"baked-{turn}")

    killed_while(work, turns=2)
    folders = [*tmp_path.glob("baked-*")]
    assert len(folders) >= 2
    for folder in folders:
        assert not damage(folder)
        assert (folder / "README.md").is_file()


def _pictures(model):
    maps = _maps(model, "all-norms", size=0.2)
    return SteeringMaps(maps.maps, {**maps.metadata, "kind": "text-to-image"})


def _denoised(model, network):
    inputs = model.encode(["a b", "c d"])
    arguments = inputs.arguments
    with torch.no_grad():
        return network(
            arguments["sample"],
            inputs.shared["timestep"],
            encoder_hidden_states=arguments["encoder_hidden_states"],
            added_cond_kwargs=unpack(arguments, {})["added_cond_kwargs"],
        ).sample


@pytest.mark.parametrize("strength", [0.8, -0.5])
def test_a_unet_computes_what_the_steered_one_does(strength, tmp_path):
    from diffusers import UNet2DConditionModel

    model = tiny_image_model()
    maps = _pictures(model)
    proof = export_checkpoint([maps], [strength], model, tmp_path / "unet")
    _show("unet", proof)
    with steer(model.network, maps, strength):
        steered = _denoised(model, model.network)
    found = _denoised(model, UNet2DConditionModel.from_pretrained(tmp_path / "unet"))
    limits = tolerance(terms=IMAGE_NETWORK, scale=steered.abs().max().item())
    torch.testing.assert_close(found, steered, **limits)
    assert not torch.allclose(steered, _denoised(model, model.network), atol=0.1)
    assert proof.exact
    card = (tmp_path / "unet" / "README.md").read_text()
    assert "UNet2DConditionModel.from_pretrained" in card


@pytest.mark.parametrize("name", ["sd3-turbo", "sana-sprint"])
def test_the_card_of_a_transformer_loads_it_by_its_own_class(name, tmp_path):
    import diffusers

    model = model_of(name)
    maps = _maps(model, r".*\.to_out\.0", size=0.2)
    proof = export_checkpoint([maps], [0.8], model, tmp_path / "baked")
    _show(name, proof)
    card = (tmp_path / "baked" / "README.md").read_text()
    kind = type(model.network).__name__
    assert f'transformer = {kind}.from_pretrained("FOLDER")\npipeline.transformer = ' in card
    assert 'pipeline_tag: "text-to-image"' in card
    assert "UNet" not in card
    getattr(diffusers, kind).from_pretrained(tmp_path / "baked")


def test_a_layer_of_a_unet_without_a_bias_takes_no_shift(tmp_path):
    model = tiny_image_model()
    with pytest.raises(UserError, match="UNet2DConditionModel has no bias .*to_v"):
        export_checkpoint([_maps(model, "attention-v")], [1.0], model, tmp_path / "unet")


def test_the_shipped_picture_model_takes_a_shipped_map(tmp_path):
    model, maps = load_model("emoji-world", device="cpu"), load_maps("robot-emoji-world")
    proof = export_checkpoint([maps], [1.0], model, tmp_path / "unet")
    _show("emoji-world, robot", proof)
    assert proof.error < 1e-3 * proof.effect


@pytest.mark.skipif(not installed("smollm2-135m"), reason="SmolLM2 is not installed")
def test_a_shipped_map_for_smollm2_writes_the_same_words(tmp_path):
    model = load_model("smollm2-135m", device="cpu")
    maps = load_maps("football-smollm2-135m")
    proof = export_checkpoint([maps], [1.0], model, tmp_path / "baked")
    _show("smollm2-135m, football", proof)
    assert proof.error < 1e-4 * proof.effect
    tokens = model.tokenizer("Once upon a time", return_tensors="pt")
    options = {"do_sample": False, "max_new_tokens": 12}
    with steer(model.network, maps):
        steered = model.network.generate(**tokens, **options)
    baked = AutoModelForCausalLM.from_pretrained(tmp_path / "baked", dtype=torch.float32)
    assert baked.generate(**tokens, **options).tolist() == steered.tolist()
    assert model.network.generate(**tokens, **options).tolist() != steered.tolist()
