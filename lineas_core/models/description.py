"""What a model is and needs, before its weights are downloaded or read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lineas_core.errors import UserError
from lineas_core.models.catalog import MODELS, Kind, ModelEntry
from lineas_core.models.downloads import HubFile, Repository, files_of, read_repository
from lineas_core.models.families import FAMILIES
from lineas_core.models.integrity import weights_of
from lineas_core.models.language import PRESETS
from lineas_core.models.locations import Location, installed, locate, on_the_hub
from lineas_core.models.outline import outline_language, outline_pipeline
from lineas_core.models.pretrained import loading_errors
from lineas_core.models.quantisation import check_gradients
from lineas_core.models.repositories import HubPlace
from lineas_core.runtime.memory import total_memory
from lineas_core.steering.presets import expected_modules, find_modules

__all__ = ["ModelDescription", "describe", "fits", "memory_of"]

_BESIDE_WEIGHTS = 1.2  # memory for weights and activations, in units of the weights
_GB = 1e9


@dataclass(frozen=True)
class ModelDescription:
    """What a model is and needs.

    Attributes:
        name: as maps remember it: catalog name, `owner/name@commit`, or resolved folder.
        kind: whether it generates text or images.
        architecture: class of the network or of the pipeline; empty if it is not known yet.
        parameters: number of parameters of all its networks.
        modules: names of the modules that are steered by default; empty if not known yet.
        license: name of the licence; empty if none is stated.
        gated: whether its terms have to be accepted on the hub.
        download: bytes that are still to be downloaded; 0 if the model is on this machine.
        memory: bytes that learning needs at least: float32 on a CPU, bfloat16 on a GPU.
    """

    name: str
    kind: Kind
    architecture: str
    parameters: int
    modules: Sequence[str]
    license: str
    gated: bool
    download: int
    memory: int


def describe(name: str) -> ModelDescription:
    """Describe a model by its configuration and by what the hub says; no weights are read.

    Args:
        name: as in `load_model`.

    Raises:
        UserError: it could not be loaded either: there is no such model, or it is not accessible,
            of an unsupported kind, incomplete, or needs a library that is missing.
    """
    entry = MODELS.get(name)
    if entry and not on_the_hub(name) and not installed(name):
        return _from_catalog(name, entry)
    place = locate(name)
    found, files = _on_hub(name, place)
    networks, architecture = _networks(place)
    family = FAMILIES.get(architecture)
    network = networks[family.denoiser] if family else next(iter(networks.values()))
    preset = entry.preset if entry else family.preset if family else None
    parameters = sum(p.numel() for each in networks.values() for p in each.parameters())
    weights = sum(file.size for file in files if file.path.endswith((".safetensors", ".bin")))
    return ModelDescription(
        name=place.name,
        kind="text-to-image" if place.is_pipeline else "language",
        architecture=architecture,
        parameters=parameters,
        modules=find_modules(network, preset) if preset else expected_modules(network, PRESETS),
        license=entry.license if entry else found.license,
        gated=found.gated,
        download=sum(file.size for file in files if not file.is_here),
        memory=memory_of(parameters, entry) if not _quantised(network) else _sized(weights, place),
    )


def memory_of(parameters: int, entry: ModelEntry | None = None) -> int:
    """Return how many bytes learning on a model needs at least, on the device of this machine.

    Args:
        parameters: number of parameters.
        entry: what the catalog knows; None for a model outside of it.
    """
    width = 2 if torch.cuda.is_available() else 4
    known = entry.memory_gb * _GB if entry else 0
    return int(max(_BESIDE_WEIGHTS * width * parameters, known))


def fits(name: str) -> bool:
    """Return whether a model of the catalog fits into the memory of this machine."""
    entry = MODELS[name]
    return memory_of(int(entry.parameters * 1e9), entry) <= total_memory()


def _from_catalog(name: str, entry: ModelEntry) -> ModelDescription:
    """Describe a model that the package index has; its configuration is in the download."""
    parameters = int(entry.parameters * 1e9)
    size = entry.embedded.download_mb << 20 if entry.embedded else 0
    memory = memory_of(parameters, entry)
    return ModelDescription(
        name, entry.kind, "", parameters, (), entry.license, False, size, memory
    )


def _on_hub(name: str, place: Location) -> tuple[Repository, list[HubFile]]:
    """Return what the hub says about a model, and its files; nothing for a folder."""
    if not on_the_hub(name):
        return Repository({}), []
    own = HubPlace(place.source, place.options["revision"])
    if place.options["local_files_only"]:
        if installed(name):
            return Repository({}), []
        what = f"the model {str(own)!r} is not on this machine, and the hub does not answer"
        raise UserError("E_MODEL", what, remedy="Try again with a connection to huggingface.co.")
    found = read_repository(own)
    return found, files_of(name, place, found)


def _networks(place: Location) -> tuple[dict[str, nn.Module], str]:
    """Return the networks of a model on the meta device, and its class."""
    if place.is_pipeline:
        return outline_pipeline(place)
    network = outline_language(place)
    if settings := _quantised(network):
        with loading_errors(place.source, **place.options):
            from transformers.quantizers import AutoHfQuantizer  # takes seconds to import

            quantizer: Any = AutoHfQuantizer.from_config(settings, pre_quantized=True)
            quantizer.validate_environment(dtype=network.dtype, device_map=None)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        check_gradients(network.config, place.source, device)
    return {"": network}, type(network).__name__


def _quantised(network: Any) -> Any:
    return getattr(getattr(network, "config", None), "quantization_config", None)


def _sized(weights: int, place: Location) -> int:
    """Return the memory that weights need which stay as they are in their files."""
    names = weights_of(os.listdir(place.folder))
    here = sum((place.folder / name).stat().st_size for name in names)
    return int(_BESIDE_WEIGHTS * (weights or here))
