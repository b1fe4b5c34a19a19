"""Load diffusers pipelines from a folder or the hub, never their code.

A catalog entry can replace the UNet's weights and the scheduler. Steps and noise are stored in the
scheduler's configuration, see `denoising`, which diffusers saves and loads with the rest, so that
a saved pipeline needs no catalog entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import DiffusionPipeline, UNet2DConditionModel
from diffusers.utils import logging
from huggingface_hub import hf_hub_download
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from lineas_core.errors import UserError, first_line
from lineas_core.models.catalog import Painting
from lineas_core.models.components import (
    check_quantised,
    comes_from_config,
    empty_network,
    networks_of,
    read_index,
)
from lineas_core.models.converted import convert_file
from lineas_core.models.denoising import FACTS
from lineas_core.models.failures import MALFORMED, own_failure
from lineas_core.models.hub import HUB_ERRORS, failure
from lineas_core.models.published import Published
from lineas_core.models.weights import REPORT, check_weights
from lineas_core.runtime.loading import LOADING

__all__ = ["empty_networks", "load_pipeline", "published_networks"]


def load_pipeline(
    source: str | Path,
    *,
    device: str,
    dtype: torch.dtype = torch.float32,
    painting: Painting | None = None,
    local_files_only: bool = False,
    revision: str | None = None,
) -> DiffusionPipeline:
    """Load a pipeline. Weights are read as safetensors only.

    Args:
        source: folder or hub id.
        device: torch device.
        dtype: of the weights, except those of the decoder, which stay in float32 for exact
            colours.
        painting: UNet weights, scheduler and steps; None keeps those of the pipeline.
        local_files_only: use the hub's cache only.
        revision: commit of the repository; None is the main branch, or a folder.

    Raises:
        UserError: the pipeline is of another kind, contains code, is damaged, or is neither on
            this machine nor available from the hub.
    """
    dtypes = {"default": dtype, "vae": torch.float32}
    place: Any = {"local_files_only": local_files_only}
    place |= {"revision": revision} if revision else {}
    with _loading_errors(source, **place):
        index = read_index(source, **place)
        parts: dict[str, Any] = {}
        if painting and painting.unet:
            parts["unet"] = _unet(source, painting.unet, dtype, place)
        with LOADING, _quiet():
            files: Any = {"use_safetensors": True, **place}
            for name, network_class in networks_of(index, besides=parts):
                check_quantised(network_class, source, name, place)
                options = {"variant": _variant(source, name, painting), **files}
                parts[name], report = network_class.from_pretrained(
                    source, subfolder=name, dtype=dtypes.get(name, dtype), **options, **REPORT
                )
                check_weights(report, f"{source}/{name}", "network")
            kind = getattr(diffusers, index["_class_name"])
            if "add_watermarker" in signature(kind).parameters:
                files["add_watermarker"] = False
            pipeline = kind.from_pretrained(source, dtype=dtypes, **files, **parts)
    if painting:
        pipeline.scheduler = _scheduler(pipeline.scheduler, painting)
    return pipeline.to(device)


def empty_networks(source: str | Path, **place: Any) -> tuple[dict[str, nn.Module], str]:
    """Build the networks of a pipeline without their weights, on torch's default device.

    Args:
        source: folder or hub id.
        **place: `revision` and `local_files_only`, as diffusers has them.

    Returns:
        Name of the component -> network, and the class of the pipeline.

    Raises:
        UserError: as in `load_pipeline`.
    """
    with _loading_errors(source, **place), _quiet():
        index = read_index(source, **place)
        found = networks_of(index, besides=())
        networks = {name: empty_network(kind, source, name, place) for name, kind in found}
        return networks, index["_class_name"]


@contextmanager
def _loading_errors(source: str | Path, **place: Any) -> Iterator[None]:
    """Raise errors of the libraries as one `UserError`.

    Args:
        source: folder or hub id.
        **place: `revision` and `local_files_only`, as diffusers has them.
    """
    try:
        yield
    except (*HUB_ERRORS, SafetensorError, ImportError, RuntimeError, *MALFORMED) as error:
        if isinstance(error, UserError | torch.OutOfMemoryError):
            raise
        known = failure(error, source)
        reason, remedy = known or (first_line(error), "Check the name and the connection.")
        remedy += " A folder can be given instead; emoji-world needs no connection."
        if not known and (isinstance(error, SafetensorError) or Path(source).is_dir()):
            remedy = "Its files are incomplete or damaged: delete them and download them again."
        if isinstance(error, ImportError):
            remedy = "Install that package, or choose weights that do without it."
        if isinstance(error, MALFORMED) and not comes_from_config(error, source, place):
            found = own_failure(error)
            if found is None:
                raise
            reason, remedy = found
        what = f"the picture model {str(source)!r} could not be loaded ({reason})"
        raise UserError("E_MODEL", what, remedy=remedy) from error


def published_networks(known: Published) -> dict[str, nn.Module]:
    """Build the networks of a known pipeline without weights, on torch's default device."""
    return {name: _built(*origin) for name, origin in known.networks.items()}


def _built(kind: str, config: dict[str, Any]) -> nn.Module:
    if hasattr(diffusers, kind):
        return getattr(diffusers, kind).from_config(config)
    network_class = getattr(transformers, kind)
    return network_class(network_class.config_class(**config))


def _variant(source: str | Path, name: str, painting: Painting | None) -> str | None:
    """Return the file variant of a component; a folder is searched for half-precision files."""
    if Path(source).is_dir():
        files = [file.name for file in Path(source).glob(f"{name}/*.safetensors")]
        return "fp16" if files and all(".fp16." in name for name in files) else None
    return painting.variant if painting else None


def _unet(
    base: str | Path,
    origin: tuple[str, str, str],
    dtype: torch.dtype,
    place: dict[str, Any],
) -> Any:
    """Build the base model's UNet with weights from another repository."""
    repository, revision, file = origin
    weights = Path(hf_hub_download(repository, file, **{**place, "revision": revision}))
    if weights.suffix == ".bin":
        weights = convert_file(weights, revision)
    with torch.device("meta"):
        unet: Any = UNet2DConditionModel.from_config(
            UNet2DConditionModel.load_config(base, subfolder="unet", **place)
        )
    state = {name: tensor.to(dtype) for name, tensor in load_file(weights).items()}
    unet.load_state_dict(state, assign=True)
    return unet


def _scheduler(scheduler: Any, painting: Painting) -> Any:
    """Return the scheduler of the catalog entry, configured like the pipeline's."""
    kind = getattr(diffusers, painting.scheduler) if painting.scheduler else type(scheduler)
    changed = kind.from_config(scheduler.config, **dict(painting.scheduler_config))
    names = ("num_inference_steps", "guidance_scale", "timesteps", "noise")
    changed.register_to_config(**{FACTS: {name: getattr(painting, name) for name in names}})
    return changed


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide progress bars, and the warnings about a decoder other than SDXL's."""
    before, shown = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if shown:
            logging.enable_progress_bar()
