"""The repositories that the paper's edition downloads, with tiny random models.

Ids, files, classes and the fields of the configurations are those of the hub; sizes are not.
"""

import json
import shutil
from pathlib import Path

import torch
from tokenizers import pre_tokenizers

from lineas_core.models.catalog import MODELS
from tests.fakes import SDXL_UNET
from tests.hub import Repository

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
_SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "initializer_range": 0.2,  # with the usual 0.02 a tiny network is nearly linear
}
_MEAN, _STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def qwen(folder):
    """Qwen2.5: one file of tied weights in bfloat16, and no token at the start."""
    from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = _numbered([*ALPHABET, *special])
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=[])
    tokenizer.save_pretrained(folder)
    _write_merges(folder, vocabulary)
    config = Qwen2Config(
        **_SMALL,
        vocab_size=len(vocabulary) + 8,  # rows that no token uses, as in the published weights
        num_key_value_heads=2,
        max_position_embeddings=131072,
        max_window_layers=2,
        tie_word_embeddings=True,
        bos_token_id=vocabulary["<|endoftext|>"],
        eos_token_id=vocabulary["<|endoftext|>"],
    )
    _seeded(Qwen2ForCausalLM, config).bfloat16().save_pretrained(folder)
    _rename(folder / "config.json", "dtype", "torch_dtype")


def gemma(folder):
    """Gemma 2: several files of weights in float32; the repository is gated."""
    from transformers import Gemma2Config, Gemma2ForCausalLM, GemmaTokenizer

    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    letters = [chr(code) for code in range(33, 127)]
    vocabulary = _numbered([*special, *(f"<0x{b:02X}>" for b in range(256)), "▁", *letters])
    GemmaTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)
    (folder / "tokenizer.model").write_bytes(b"the same in the format of sentencepiece")
    config = Gemma2Config(
        **_SMALL,
        vocab_size=len(vocabulary),
        num_key_value_heads=2,
        head_dim=8,
        query_pre_attn_scalar=8,
        max_position_embeddings=8192,
    )
    _seeded(Gemma2ForCausalLM, config).save_pretrained(folder, max_shard_size="50KB")
    _rename(folder / "config.json", "dtype", "torch_dtype")


def deepseek(folder):
    """DeepSeek: pickled weights in two files and nothing else."""
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = _numbered([*ALPHABET, "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"])
    start, end = list(vocabulary)[-2:]
    PreTrainedTokenizerFast(
        tokenizer_object=_byte_level(vocabulary), bos_token=start, eos_token=end, pad_token=end
    ).save_pretrained(folder)
    config = LlamaConfig(
        **_SMALL,
        vocab_size=len(vocabulary),
        bos_token_id=vocabulary[start],
        eos_token_id=vocabulary[end],
    )
    network = _seeded(LlamaForCausalLM, config).bfloat16()
    network.config.dtype = torch.bfloat16
    network.config.architectures = ["LlamaForCausalLM"]
    network.config.save_pretrained(folder)
    names = sorted(state := network.state_dict())
    parts, index = (names[: len(names) // 2], names[len(names) // 2 :]), {}
    for number, part in enumerate(parts, 1):
        file = f"pytorch_model-{number:05}-of-00002.bin"
        torch.save({name: state[name].clone() for name in part}, folder / file)
        index |= dict.fromkeys(part, file)
    facts = {"metadata": {"total_size": 1}, "weight_map": index}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(facts))


def sdxl(folder):
    """SDXL base: weights of all parts in float32 and float16, and files that nobody needs."""
    pipeline = _sdxl_pipeline()
    pipeline.save_pretrained(folder)
    pipeline.to(dtype=torch.float16).save_pretrained(folder, variant="fp16")
    vocabulary = pipeline.tokenizer.get_vocab()
    for number, name in enumerate(("tokenizer", "tokenizer_2")):
        shutil.rmtree(folder / name)
        (folder / name).mkdir()
        _write_merges(folder / name, vocabulary)
        _write_clip_tokenizer(folder / name, pad="!" if number else "<|endoftext|>")
    for part in ("text_encoder", "text_encoder_2"):
        _rename(folder / part / "config.json", "dtype", "torch_dtype")
    (folder / "sd_xl_base_1.0.safetensors").write_bytes(b"the whole pipeline in one file")
    (folder / "vae_1_0").mkdir()
    (folder / "vae_1_0" / "diffusion_pytorch_model.safetensors").write_bytes(b"an earlier one")


def dmd2(folder):
    """DMD2: a pickled state dict of SDXL's UNet in float16."""
    unet = _sdxl_pipeline(seed=1).unet.half()
    torch.save(unet.state_dict(), folder / "dmd2_sdxl_1step_unet_fp16.bin")


def roberta(folder):
    """The toxicity classifier: pickled weights, and a tokenizer of vocabulary and merges."""
    from transformers import RobertaConfig, RobertaForSequenceClassification

    vocabulary = _numbered(["<s>", "<pad>", "</s>", "<unk>", *ALPHABET, "<mask>"])
    _write_merges(folder, vocabulary)
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 512}')
    config = RobertaConfig(
        **{**_SMALL, "num_hidden_layers": 1},
        vocab_size=len(vocabulary),
        max_position_embeddings=514,
        type_vocab_size=1,
        id2label={0: "neutral", 1: "toxic"},
        label2id={"neutral": 0, "toxic": 1},
        architectures=["RobertaForSequenceClassification"],
    )
    state = _seeded(RobertaForSequenceClassification, config).state_dict()
    # Repositories of that time keep this buffer, too.
    state["roberta.embeddings.position_ids"] = torch.arange(514)[None]
    torch.save(state, folder / "pytorch_model.bin")
    config.save_pretrained(folder)


def clip(folder):
    """CLIP ViT-B/16: pickled weights, and a processor in the words of its time."""
    from transformers import CLIPConfig, CLIPModel

    _write_merges(folder, vocabulary := _clip_vocabulary())
    _write_clip_tokenizer(folder, pad="<|endoftext|>")
    small = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4}
    small |= {"num_hidden_layers": 1, "projection_dim": 16}
    text = {**small, "vocab_size": len(vocabulary), "max_position_embeddings": 77}
    text |= {"bos_token_id": 0, "eos_token_id": len(vocabulary) - 1}
    vision = {**small, "image_size": 224, "patch_size": 16}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
    config.architectures = ["CLIPModel"]
    state = _seeded(CLIPModel, config).state_dict()
    state["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    state["vision_model.embeddings.position_ids"] = torch.arange(197)[None]
    torch.save(state, folder / "pytorch_model.bin")
    config.save_pretrained(folder)
    processor = {"crop_size": 224, "do_center_crop": True, "do_normalize": True}
    processor |= {"do_resize": True, "feature_extractor_type": "CLIPFeatureExtractor"}
    processor |= {"image_mean": _MEAN, "image_std": _STD, "resample": 3, "size": 224}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))


def dinov2(folder):
    """DINOv2-small: weights in both formats."""
    from transformers import Dinov2Config, Dinov2Model

    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    network = _seeded(Dinov2Model, Dinov2Config(**small, image_size=518, patch_size=14))
    network.save_pretrained(folder)
    torch.save(network.state_dict(), folder / "pytorch_model.bin")
    processor = {"crop_size": {"height": 224, "width": 224}, "do_center_crop": True}
    processor |= {"do_convert_rgb": True, "do_normalize": True, "do_rescale": True}
    processor |= {"do_resize": True, "image_processor_type": "BitImageProcessor"}
    processor |= {"image_mean": _MEAN, "image_std": _STD, "resample": 3}
    processor |= {"rescale_factor": 1 / 255, "size": {"shortest_edge": 256}}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))


_BUILDERS = {
    "Qwen/Qwen2.5-1.5B": qwen,
    "Qwen/Qwen2.5-7B": qwen,
    "google/gemma-2-2b": gemma,
    "deepseek-ai/deepseek-llm-7b-base": deepseek,
    "stabilityai/stable-diffusion-xl-base-1.0": sdxl,
    "tianweiy/DMD2": dmd2,
    "s-nlp/roberta_toxicity_classifier": roberta,
    "openai/clip-vit-base-patch16": clip,
    "facebook/dinov2-small": dinov2,
}


def write_models(folder, names=tuple(_BUILDERS)):
    """Build models in a folder; returns id -> `Repository`."""
    repositories = {}
    for name in names:
        place = Path(folder) / name
        place.mkdir(parents=True)
        _BUILDERS[name](place)
        (place / "README.md").write_text("---\nlicense: mit\n---\nA tiny model, random weights.")
        repositories[name] = Repository.of(place, gated=name.startswith("google/"))
    if dmd := repositories.get("tianweiy/DMD2"):
        dmd.commit = MODELS["dmd2"].painting.unet[1]
    return repositories


def _sdxl_pipeline(seed=0):
    from diffusers import (
        AutoencoderKL,
        EulerDiscreteScheduler,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )
    from transformers import (
        CLIPTextConfig,
        CLIPTextModel,
        CLIPTextModelWithProjection,
        CLIPTokenizer,
    )

    vocabulary = _clip_vocabulary()
    texts = CLIPTextConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        intermediate_size=32,
        projection_dim=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        bos_token_id=0,
        eos_token_id=len(vocabulary) - 1,
        initializer_factor=10.0,  # so that two prompts differ visibly
    )
    sizes = {
        "addition_time_embed_dim": 8,
        "attention_head_dim": [2, 2, 4],
        "block_out_channels": [8, 16, 32],
        "cross_attention_dim": 32,
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "projection_class_embeddings_input_dim": 16 + 6 * 8,
        "sample_size": 8,
        "transformer_layers_per_block": [1, 1, 2],
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return StableDiffusionXLPipeline(
            unet=UNet2DConditionModel.from_config({**SDXL_UNET, **sizes}),
            vae=AutoencoderKL(
                block_out_channels=[8, 8, 8, 8],
                down_block_types=["DownEncoderBlock2D"] * 4,
                up_block_types=["UpDecoderBlock2D"] * 4,
                norm_num_groups=4,
                latent_channels=4,
                force_upcast=True,
                scaling_factor=0.13025,
            ),
            text_encoder=CLIPTextModel(texts),
            text_encoder_2=CLIPTextModelWithProjection(texts),
            tokenizer=CLIPTokenizer(vocab=vocabulary, merges=[]),
            tokenizer_2=CLIPTokenizer(vocab=vocabulary, merges=[]),
            scheduler=EulerDiscreteScheduler(
                beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1
            ),
            add_watermarker=False,
        )


def _seeded(network_class, config):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return network_class(config)


def _byte_level(vocabulary):
    from tokenizers import Tokenizer, decoders, models, processors

    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    start = list(vocabulary)[-2]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A", special_tokens=[(start, vocabulary[start])]
    )
    return tokenizer


def _clip_vocabulary():
    ends = [f"{letter}</w>" for letter in ALPHABET]
    return _numbered(["<|startoftext|>", *ALPHABET, *ends, "<|endoftext|>"])


def _write_clip_tokenizer(folder, *, pad):
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
    special |= {"unk_token": "<|endoftext|>", "pad_token": pad}
    facts = {**special, "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**facts, "do_lower_case": True}))
    (folder / "special_tokens_map.json").write_text(json.dumps(special))


def _write_merges(folder, vocabulary):
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")


def _numbered(tokens):
    return {token: number for number, token in enumerate(tokens)}


def _rename(file, new, old):
    """Rename a field of a configuration as it was called when the repository was made."""
    facts = json.loads(file.read_text())
    if new in facts:
        facts[old] = facts.pop(new)
    file.write_text(json.dumps(facts, indent=2))
