"""Whether maps belong to a model: to its modules, and to its very weights."""

from __future__ import annotations

import logging

from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.models.base import (
    SteerableModel,
    fingerprint,
    fingerprints,
    network_fingerprint,
)
from lineas_core.steering.affine import SteeringMaps

__all__ = ["NO_FINGERPRINT", "check_fits"]

NO_FINGERPRINT = "it does not say which weights it was learnt on; it may steer a model badly"
"""Warning about a map that has no fingerprint."""
_log = logging.getLogger(__name__)


def check_fits(maps: SteeringMaps, model: SteerableModel) -> None:
    """Check that maps were learnt on this model.

    Maps without a fingerprint are accepted with a warning in the log if their modules exist and
    have their widths.

    Raises:
        UserError: they were learnt on another model, or on other weights of this one; the
            message says which.
    """
    reason = _misfit(maps, model)
    if not reason:
        if maps.metadata.get("fingerprint") is None:
            _log.warning("%s: %s", maps.metadata.get("title") or "a map", NO_FINGERPRINT)
        return
    learnt_on = maps.metadata.get("model", "another model")
    other = "other weights of " if learnt_on == model.name else ""
    raise UserError(
        "E_MODEL",
        f"this map was learnt on {other}{learnt_on}, the loaded model is {model.name} ({reason})",
        remedy=f"Load {other}{learnt_on}, or learn the map again on {model.name}.",
    )


def _misfit(maps: SteeringMaps, model: SteerableModel) -> str:
    """Return why maps do not belong to a model; empty if they do."""
    modules = dict(model.network.named_modules())
    for name, step in maps.items():
        if name not in modules:
            return f"it has no module {name}"
        weight = getattr(modules[name], "weight", None)
        if isinstance(weight, Tensor) and step.width not in weight.shape:
            return f"the module {name} does not have {step.width} coordinates"
    expected = maps.metadata.get("fingerprint")
    found = expected and fingerprint(model.network, list(maps))
    if found == expected:
        return _differing_elsewhere(maps, model)
    return (
        f"the fingerprint of its {len(maps)} modules is {found}, that in the map {expected}"
        f"{_differing(maps, model)}"
    )


def _differing_elsewhere(maps: SteeringMaps, model: SteerableModel) -> str:
    """Compare the whole network; maps of early versions know their modules only."""
    expected = maps.metadata.get("network_fingerprint")
    found = expected and network_fingerprint(model.network)
    if found == expected:
        return ""
    return (
        f"the weights of its {len(maps)} modules are the same, but not those of the rest: the "
        f"fingerprint of the network is {found}, that in the map {expected}"
    )


def _differing(maps: SteeringMaps, model: SteerableModel) -> str:
    """Name the modules whose weights differ; empty for maps of early versions."""
    known = maps.metadata.get("fingerprints")
    if not isinstance(known, dict):
        return ""
    found = fingerprints(model.network, list(maps))
    names = [name for name in maps if known.get(name) != found[name]]
    return f"; the weights of {len(names)} of them differ, first {names[0]}" if names else ""
