"""Components of a diffusers pipeline: which there are, of which class, and their networks."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import transformers
from huggingface_hub import hf_hub_download
from torch import nn

from lineas_core.errors import UserError
from lineas_core.models.failures import has_wrong_value
from lineas_core.models.families import FAMILIES
from lineas_core.models.hub import INDEX
from lineas_core.models.quantisation import check_language, check_pictures

__all__ = ["check_quantised", "comes_from_config", "empty_network", "networks_of", "read_index"]

_TRUSTED = {"diffusers", "transformers", None}  # libraries whose classes may be components


def read_index(source: str | Path, **place: Any) -> dict[str, Any]:
    """Return the components of a pipeline.

    Args:
        source: folder or hub id.
        **place: `revision` and `local_files_only`, as diffusers has them.

    Raises:
        UserError: it is of another class, or has components from unknown libraries.
        ValueError: the file that lists them is damaged.
    """
    folder = Path(source)
    if not folder.is_dir():
        index = hf_hub_download(str(source), INDEX, **place)
        folder = Path(index).parent
    parts = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    kind = parts.get("_class_name") if isinstance(parts, dict) else None
    if not isinstance(kind, str):
        raise ValueError(f"its {INDEX} names no kind of pipeline")
    if kind not in FAMILIES:
        raise UserError(
            "E_MODEL",
            f"the pipeline {str(source)!r} is of the kind {kind!r}",
            remedy=f"Choose one of the kinds {', '.join(FAMILIES)}.",
        )
    for name, origin in parts.items():
        if isinstance(origin, list):
            _check_component(name, origin, source)
    needed = (FAMILIES[kind].denoiser, "scheduler", "vae")
    if lacking := [name for name in needed if not isinstance(parts.get(name), list)]:
        raise ValueError(f"its {INDEX} names no {lacking[0]}")
    return parts


def _check_component(name: str, origin: list[Any], source: str | Path) -> None:
    """Check that a component of a pipeline is of a class that is known here.

    Args:
        name: its name in the index.
        origin: library and class; both are None for a component that is left out.
        source: folder or hub id, for the error.
    """
    library, kind = origin
    if not _is_trusted(library):
        raise UserError(
            "E_MODEL",
            f"the pipeline {str(source)!r} contains custom code for its {name}",
            remedy="Code from a model is never run; choose another pipeline.",
        )
    found = {"diffusers": diffusers, "transformers": transformers}.get(library)
    if found and not hasattr(found, str(kind)):
        what = f"the {name} of {str(source)!r} is a {kind}"
        what += f", which {library} {found.__version__} does not have"
        raise UserError("E_MODEL", what, remedy=f"Update {library}, or choose another model.")


def _is_trusted(library: str | None) -> bool:
    """Return whether a class is from a known library, or from a module of its pipelines."""
    return library in _TRUSTED or hasattr(diffusers.pipelines, str(library))


def networks_of(index: dict[str, Any], besides: Container[str]) -> Iterator[tuple[str, Any]]:
    """Yield name and class of the components that have weights, except those named."""
    for name, origin in index.items():
        library = {"diffusers": diffusers, "transformers": transformers}.get(
            origin[0] if isinstance(origin, list) else ""
        )
        found = library and getattr(library, origin[1], None)
        if name not in besides and isinstance(found, type) and issubclass(found, nn.Module):
            yield name, found


def empty_network(kind: Any, source: str | Path, name: str, place: dict[str, Any]) -> nn.Module:
    """Build the network of a component without its weights, on torch's default device.

    Args:
        kind: its class.
        source: folder or hub id of the pipeline.
        name: its name in the index.
        place: as in `read_index`.
    """
    config = _config(kind, source, name, place)
    return kind.from_config(config) if _is_of_diffusers(kind) else kind(config)


def _config(kind: Any, source: str | Path, name: str, place: dict[str, Any]) -> Any:
    """Return the configuration of a component, as the library of its class has it."""
    if _is_of_diffusers(kind):
        return kind.load_config(source, subfolder=name, **place)
    return kind.config_class.from_pretrained(source, subfolder=name, **place)


def _is_of_diffusers(kind: Any) -> bool:
    return issubclass(kind, diffusers.ModelMixin)


def check_quantised(kind: Any, source: str | Path, name: str, place: dict[str, Any]) -> None:
    """Refuse a component whose quantisation is unknown, or needs a library that is missing.

    The arguments are those of `empty_network`.

    Raises:
        UserError: the library is unknown.
        ImportError: it is not installed.
        ValueError: the configuration has no settings where they belong.
    """
    config = _config(kind, source, name, place)
    if _is_of_diffusers(kind):
        check_pictures(config.get("quantization_config"), f"{source}/{name}")
    else:
        check_language(getattr(config, "quantization_config", None), f"{source}/{name}")


def comes_from_config(error: Exception, source: str | Path, place: dict[str, Any]) -> bool:
    """Return whether an error comes from the configuration of a component.

    Args:
        error: one of `failures.MALFORMED`.
        source: folder or hub id of the pipeline.
        place: as in `read_index`.
    """
    return any(
        has_wrong_value(
            error,
            partial(empty_network, kind, source, name, place),
            partial(_default_network, kind),
        )
        for name, kind in networks_of(read_index(source, **place), besides=())
    )


def _default_network(kind: Any) -> nn.Module:
    """Build a network from the defaults of its class."""
    return kind() if _is_of_diffusers(kind) else kind(kind.config_class())
