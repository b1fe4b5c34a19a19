"""Tiny models with random weights: real architectures without downloads."""

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from lineas_core.models import LanguageModel, TextToImageModel

# The published config.json of SDXL's UNet, which DMD2, Turbo and Lightning share.
SDXL_UNET = {
    "act_fn": "silu",
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "attention_head_dim": [5, 10, 20],
    "block_out_channels": [320, 640, 1280],
    "center_input_sample": False,
    "conv_in_kernel": 3,
    "conv_out_kernel": 3,
    "cross_attention_dim": 2048,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 4,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "norm_eps": 1e-05,
    "norm_num_groups": 32,
    "only_cross_attention": False,
    "out_channels": 4,
    "projection_class_embeddings_input_dim": 2816,
    "resnet_time_scale_shift": "default",
    "sample_size": 128,
    "transformer_layers_per_block": [1, 2, 10],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "upcast_attention": None,
    "use_linear_projection": True,
}


def tiny_language_model(seed=0, *, endless=False):
    """Build a two-layer Llama of width 32 whose tokens are bytes.

    An endless one gives the end of the text no probability.
    """
    tokenizer = _byte_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.2,  # with the usual 0.02 a tiny network is nearly linear
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = LlamaForCausalLM(config)
    if endless:
        network.lm_head.weight.data[tokenizer.eos_token_id] = 0  # not among the likeliest 50
    return LanguageModel(network, tokenizer, name="tiny")


def tiny_chat_model(seed=0):
    """Build a `tiny_language_model` with a chat template."""
    model = tiny_language_model(seed)
    model.tokenizer.chat_template = (
        "{% for m in messages %}<{{ m.role }}:{{ m.content }}>{% endfor %}"
        "{% if add_generation_prompt %}<assistant:{% endif %}"
    )
    return model


def tiny_pipeline(seed=0, *, encoders=1, **scheduler):
    """Build a pipeline with SDXL's architecture at a ten-thousandth of its size, 64 x 64 pixels.

    Args:
        seed: seed of the weights.
        encoders: number of text encoders: 2 as in SDXL, or 1 as in the shipped model.
        **scheduler: settings of the scheduler.
    """
    # Imported lazily: diffusers takes seconds to import, and tests of texts do not need it.
    from diffusers import (
        AutoencoderTiny,
        LCMScheduler,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )

    sizes = {
        "addition_time_embed_dim": 8,
        "attention_head_dim": [2, 2, 4],
        "block_out_channels": [8, 16, 32],
        "cross_attention_dim": 32,
        "in_channels": 6,
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "out_channels": 6,
        "projection_class_embeddings_input_dim": 16 + 6 * 8,
        "sample_size": 8,
        "transformer_layers_per_block": [1, 1, 2],
    }
    tokenizer = letter_tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNet2DConditionModel.from_config({**SDXL_UNET, **sizes})
        texts = CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=32 // encoders,
            intermediate_size=64,
            projection_dim=16,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=16,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            initializer_factor=10.0,  # so that two prompts differ visibly
        )
        text_encoder = CLIPTextModelWithProjection(texts)
        first = CLIPTextModel(texts) if encoders == 2 else None
        vae = AutoencoderTiny(
            encoder_block_out_channels=(8,) * 4,
            decoder_block_out_channels=(8,) * 4,
            num_encoder_blocks=(1,) * 4,
            num_decoder_blocks=(1,) * 4,
            latent_channels=6,
        )
        last = vae.decoder.layers[-1]  # random weights alone give an even grey
        last.weight.data *= 10
        last.bias.data[:] = 0.5
    return StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=first,
        text_encoder_2=text_encoder,
        tokenizer=letter_tokenizer() if first else None,
        tokenizer_2=tokenizer,
        unet=unet,
        scheduler=LCMScheduler.from_config({"_one_step": {"timestep": 399}, **scheduler}),
        add_watermarker=False,
    )


def tiny_image_model(seed=0, **settings):
    """Build a one-step model from `tiny_pipeline`; arguments as there."""
    return TextToImageModel(tiny_pipeline(seed, **settings), name="tiny image")


def tiny_layout_model(seed=0):
    """Build one whose pictures of a seed have the same layout, as those of the shipped model."""
    return tiny_image_model(seed, _one_step={"timestep": 399, "noise": "layout"})


def save_model(model, folder):
    """Save a model to a folder; returns the name under which `load_model` loads it."""
    if isinstance(model, TextToImageModel):
        model.pipeline.save_pretrained(folder)
    else:
        model.network.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
    return str(folder)


def _byte_tokenizer():
    special = ["<bos>", "<eos>", "<pad>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*special, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", vocabulary["<bos>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>"
    )


def letter_tokenizer():
    """Build a CLIP tokenizer without merges, so that every letter is a token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<|startoftext|>", "<|endoftext|>", *alphabet, *(f"{a}</w>" for a in alphabet)]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=[])


def ask_for_a_petabyte(*_, **__):
    """Raise torch's out-of-memory error: no machine has this much memory."""
    return torch.empty(1 << 50, dtype=torch.uint8)


def hooks_of(network):
    """The modules of a network that have a forward hook; torch has no public name for it."""
    return [module for module in network.modules() if module._forward_hooks]
