"""Time and memory at full size: the real architectures with random weights in bfloat16.

    python -m benchmarks.full_size sdxl --prompts 32
    python -m benchmarks.full_size gemma-2-2b --prompts 32
    python -m benchmarks.full_size sdxl --prompts 1 --side 256 --device cpu --learn-only

Time and memory do not depend on the values of the weights, so this predicts what DMD2, Gemma and
Qwen need on a given device. The last command shows that an ordinary machine has enough memory to
learn the maps of all norms of SDXL. The output is JSON, in seconds and gigabytes.
"""

from __future__ import annotations

import argparse
import json
import resource
import string
import time
from itertools import pairwise
from statistics import median
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    LCMScheduler,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    Gemma2Config,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

from benchmarks.workloads import drawn
from lineas_core import LearnConfig
from lineas_core.learning.descent import Descent
from lineas_core.learning.problem import Problem
from lineas_core.models import LanguageModel, TextToImageModel
from lineas_core.models.published import PUBLISHED
from lineas_core.steering.folding import fold

_SDXL = PUBLISHED["stabilityai/stable-diffusion-xl-base-1.0"].networks
# The values of each model's config.json that differ from the defaults of the library.
LANGUAGE: dict[str, Any] = {
    "gemma-2-2b": Gemma2Config(),
    "qwen2.5-7b": Qwen2Config(
        hidden_size=3584,
        intermediate_size=18944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        vocab_size=152_064,
    ),
}
_WORDS = [*string.ascii_lowercase]


def random_sdxl(side: int, device: str) -> TextToImageModel:
    """Build SDXL's UNet and decoder with a small stand-in for its text encoder.

    Args:
        side: of a picture, in pixels.
        device: such as `cuda` or `cpu`.
    """
    with torch.device("meta"):
        unet: Any = UNet2DConditionModel.from_config(
            {**_SDXL["unet"][1], "sample_size": side // 8}
        )
    nn.Module.to(unet, dtype=torch.bfloat16).to_empty(device=device)
    for module in unet.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.weight.data.normal_(std=module.weight[0].numel() ** -0.5)
        elif isinstance(module, nn.LayerNorm | nn.GroupNorm):
            module.weight.data.fill_(1)
        if getattr(module, "bias", None) is not None:
            module.bias.data.zero_()
    tokens = ["<|startoftext|>", "<|endoftext|>", *(f"{word}</w>" for word in _WORDS)]
    text_encoder = CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=len(tokens),
            hidden_size=2048,
            intermediate_size=64,
            projection_dim=1280,
            num_hidden_layers=1,
            num_attention_heads=32,
            bos_token_id=0,
            eos_token_id=1,
            initializer_factor=10.0,
        )
    )
    pipeline: Any = StableDiffusionXLPipeline(
        vae=AutoencoderKL(**_SDXL["vae"][1]),
        text_encoder=None,
        text_encoder_2=text_encoder.to(dtype=torch.bfloat16),
        tokenizer=None,
        tokenizer_2=CLIPTokenizer(vocab={t: i for i, t in enumerate(tokens)}, merges=[]),
        unet=unet,
        scheduler=LCMScheduler.from_config({"_one_step": {"timestep": 399}}),
        add_watermarker=False,
    )
    return TextToImageModel(pipeline.to(device), name="random SDXL")


def random_language(name: str, device: str) -> LanguageModel:
    """Build a language model with a vocabulary of 26 words.

    Args:
        name: key of `LANGUAGE`.
        device: such as `cuda` or `cpu`.
    """
    with torch.device(device):
        network = AutoModelForCausalLM.from_config(LANGUAGE[name], dtype=torch.bfloat16)
    network.generation_config.eos_token_id = None  # always generate the full length
    vocabulary = {word: i for i, word in enumerate(["<unk>", "<pad>", *_WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", pad_token="<pad>"
    )
    return LanguageModel(network, tokenizer, name=f"random {name}")


def main() -> None:
    """Build the model, learn, generate, and print time and memory as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", choices=["sdxl", *LANGUAGE])
    parser.add_argument("--prompts", type=int, default=32, help="prompts per side and step")
    parser.add_argument("--steps", type=int, default=4, help="iterations to learn")
    parser.add_argument("--side", type=int, default=1024, help="side of a picture in pixels")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--learn-only", action="store_true", help="do not generate")
    given = parser.parse_args()
    if given.model == "sdxl":
        model: Any = random_sdxl(given.side, given.device)
    else:
        model = random_language(given.model, given.device)
    row = {
        "model": given.model,
        "device": torch.cuda.get_device_name() if given.device == "cuda" else given.device,
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "gb_built": _peak_gb(),
    }
    print(json.dumps(row | _learnt(model, given.prompts, given.steps)), flush=True)
    if not given.learn_only:
        print(json.dumps(_generated(model)), flush=True)


def _learnt(model: Any, count: int, steps: int) -> dict[str, Any]:
    """Measure the first iterations of learning with `count` prompts a side."""
    source, target = ([sentence(i, k) for i in range(max(count, 2))] for k in (0, 7))
    config = LearnConfig(iterations=steps, batch_size=count)
    clock = [time.perf_counter()]
    problem = Problem(model, source, target, config, None)
    descent = Descent(problem.zeros(), problem.samples.widths, config)
    for iteration in range(steps + 1):
        cost, gradient = problem.cost_and_gradient(descent.parameters, iteration)
        problem.total(cost)
        clock.append(time.perf_counter())
        descent.step(gradient, iteration)
    taken = [end - start for start, end in pairwise(clock)]
    return {
        "modules": len(problem.samples.names),
        "coordinates": sum(problem.samples.widths),
        "prompts_a_side": count,
        "seconds_before": round(taken[0], 2),  # includes the first step
        "seconds_per_step": round(median(taken[1:]), 3),
        "together": problem.samples.memory.micro_batch,
        "checkpointing": problem.samples.memory.checkpointing,
        "gb_peak": _peak_gb(),
    }


@torch.no_grad()
def _generated(model: Any) -> dict[str, float]:
    """Time what the page generates: unsteered, steered, and nine strengths in a batch."""
    names = model.default_modules
    maps = drawn({n: width_of(model.network.get_submodule(n)) for n in names}, seed=0)
    nine: Any = torch.arange(-4, 5) / 4
    strengths: dict[str, tuple[Any, int]] = {
        "plain": (0.0, 1),
        "steered": (0.5, 1),
        "nine_plain": (0.0, 9),
        "nine_strengths": (nine, 9),
    }
    taken: dict[str, list[float]] = {}
    for _ in range(6):  # in turn; the first round warms up
        for name, (strength, rows) in strengths.items():
            prompts = [sentence(1, 0)] * rows
            inputs = model.encode(prompts)
            makings = {
                f"seconds_{name}": lambda p=prompts: model.generate(p, seeds=[0] * len(p)),
                f"pass_{name}": lambda i=inputs: model.forward(i),
            }
            for making, make in makings.items():
                start = time.perf_counter()
                with fold(model.network, maps, strength):
                    make()
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                taken.setdefault(making, []).append(time.perf_counter() - start)
    return {name: round(median(each[1:]), 4) for name, each in taken.items()}


def sentence(number: int, shift: int) -> str:
    """Return 20 words of the random models' vocabulary, others for each number and shift."""
    return " ".join(_WORDS[(number * place + shift) % len(_WORDS)] for place in range(20))


def width_of(module: nn.Module) -> int:
    """Return the number of coordinates of a norm."""
    return len(module.weight)  # type: ignore[arg-type]


def _peak_gb() -> float:
    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_allocated() / 1e9, 2)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2)


if __name__ == "__main__":
    main()
