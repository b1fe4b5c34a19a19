"""Networks without their weights, to plan with and to describe."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from lineas_core.errors import UserError
from lineas_core.models.catalog import MODELS
from lineas_core.models.locations import Location, locate
from lineas_core.models.pretrained import loading_errors, read_config
from lineas_core.models.published import PUBLISHED, Published
from lineas_core.models.sources import auto_class
from lineas_core.runtime.loading import LOADING
from lineas_core.runtime.memory import USABLE

if TYPE_CHECKING:  # its classes take seconds to import
    from transformers.modeling_utils import PreTrainedModel

__all__ = [
    "device_for",
    "outline",
    "outline_language",
    "outline_pictures",
    "outline_pipeline",
    "paints",
]


def outline(name: str) -> PreTrainedModel:
    """Build a language model from its configuration on the meta device, in bfloat16.

    Args:
        name: as in `load_model`; a folder needs no other file than `config.json`.

    Raises:
        UserError: it is not a language model, or its configuration cannot be read.
    """
    entry, place = MODELS.get(name), None
    if not entry or not entry.painting:
        place = locate(name, whole=False)
    if place is None or place.is_pipeline:
        remedy = "Choose a language model."
        raise UserError("E_MODEL", f"{name} paints pictures", remedy=remedy)
    return outline_language(place)


def paints(name: str) -> bool:
    """Return whether a model paints pictures, by its configuration.

    Args:
        name: as in `outline`.

    Raises:
        UserError: there is no such model.
    """
    if entry := MODELS.get(name):
        return entry.kind == "text-to-image"
    return _published(name) is not None or locate(name, whole=False).is_pipeline


def outline_pictures(name: str) -> tuple[dict[str, nn.Module], str]:
    """Build the networks of a picture model on the meta device, in bfloat16 but for the decoder.

    Args:
        name: as in `load_model`; the hub is not asked for what `published` knows.

    Returns:
        Name of the component -> network, and the class of the pipeline.

    Raises:
        UserError: as in `outline_pipeline`.
    """
    if known := _published(name):
        from lineas_core.models.pipelines import published_networks  # takes seconds to import

        with LOADING, torch.device("meta"):
            networks, kind = published_networks(known), known.kind
    else:
        networks, kind = outline_pipeline(locate(name, whole=False))
    for part, network in networks.items():
        # That of diffusers warns of what does not concern networks without weights.
        nn.Module.to(network, torch.float32 if part == "vae" else torch.bfloat16)
        network.eval().requires_grad_(False)
    return networks, kind


def _published(name: str) -> Published | None:
    entry = MODELS.get(name)
    known = PUBLISHED.get(str(entry.hub_id) if entry else name)
    return known if entry or not known or not Path(name).is_dir() else None


def outline_language(place: Location) -> PreTrainedModel:
    """Build a language model on the meta device, in bfloat16.

    Raises:
        UserError: it is not a language model, or its configuration cannot be read.
    """
    with loading_errors(place.source, **place.options):
        config = read_config(place.source, **place.options)
        with LOADING, torch.device("meta"):
            network = auto_class(config).from_config(
                config, dtype=torch.bfloat16, trust_remote_code=False
            )
    return network.eval().requires_grad_(False)


def outline_pipeline(place: Location) -> tuple[dict[str, nn.Module], str]:
    """Build the networks of a pipeline on the meta device.

    Returns:
        Name of the component -> network, and the class of the pipeline.

    Raises:
        UserError: the pipeline is of another kind, contains code, or cannot be read.
    """
    from lineas_core.models.pipelines import empty_networks  # takes seconds to import

    options: dict[str, Any] = place.options
    with LOADING, torch.device("meta"):
        return empty_networks(place.source, **options)


def device_for(name: str) -> str | None:
    """Return where `load_model` should place a model on this machine.

    Args:
        name: as in `load_model`.

    Returns:
        `auto` for a language model whose weights leave too little room on one of several GPUs,
        otherwise None.
    """
    count = torch.cuda.device_count()
    if count > 1:
        memory = min(torch.cuda.get_device_properties(n).total_memory for n in range(count))
        with suppress(UserError):  # it paints pictures, or loading it will say what is wrong
            weights = sum(p.numel() * p.element_size() for p in outline(name).parameters())
            return None if weights <= USABLE * memory else "auto"
    return None
