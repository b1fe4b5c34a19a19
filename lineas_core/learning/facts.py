"""What a run reports beside the maps: their metadata, and the distance on held-out prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from lineas_core.learning.samples import Samples
from lineas_core.learning.wasserstein import wasserstein_1d
from lineas_core.models.base import SteerableModel, fingerprint, fingerprints, network_fingerprint
from lineas_core.runtime.versions import library_versions
from lineas_core.steering.affine import SteeringMaps

__all__ = ["describe_run", "describe_start", "heldout_distance"]

_NO_LOSS = 1e-6  # in units of spread²: rounding alone gives more than 0


def heldout_distance(
    steps: Sequence[Samples], heldout: tuple[Sequence[str], Sequence[str]] | None
) -> Callable[[SteeringMaps], float] | None:
    """Build a function that measures maps on prompts they were not learnt from.

    Args:
        steps: the samples that the maps are learnt from, at each of the denoising steps.
        heldout: source and target prompts; None, or an empty side, means no measurement.

    Returns:
        A function from maps to the distance of Eq. 3.4 in units of spread², averaged over
        coordinates and steps (0 means equal distributions); None without held-out prompts.
    """
    if not heldout or not all(heldout):
        return None
    each = [_distance(samples, *heldout) for samples in steps]
    return lambda maps: fmean(distance(maps) for distance in each)


def _distance(
    samples: Samples, source: Sequence[str], target: Sequence[str]
) -> Callable[[SteeringMaps], float]:
    inputs = samples.model.encode(source)
    y = samples.rows(samples.model.encode(target))

    def distance(maps: SteeringMaps) -> float:
        x = samples.rows(inputs, maps)
        return (wasserstein_1d(x, y) / samples.spread**2).mean().item()

    return distance


def describe_start(loss: float | None) -> str:
    """Say whether a network tells both sides apart.

    Args:
        loss: of the unsteered network; None if it was not measured.

    Returns:
        A sentence if it does not, else an empty text.
    """
    if loss is None or loss > _NO_LOSS:
        return ""
    return (
        "The loss is 0 before the first iteration: the steered modules see no difference between "
        "the source and the target prompts. Use prompts that differ, or other modules."
    )


def describe_run(
    model: SteerableModel,
    samples: Samples,
    method: str,
    strength: float = 1.0,
    names: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Describe learnt maps: model, settings, sizes and library versions.

    Args:
        model: the model, with all denoising steps at which it learns.
        samples: what they were learnt from, at the first of the steps.
        method: a key of `lineas_core.methods.METHODS`.
        strength: recommended λ, as in the method's paper.
        names: the modules that the maps steer; None means all of `samples.names`.
    """
    network, names = model.network, names or samples.names
    denoising = getattr(model, "denoising", None)  # picture models only
    return {
        "method": method,
        "strength": strength,
        "kind": model.kind,
        "model": model.name,
        "fingerprint": fingerprint(network, names),
        "fingerprints": fingerprints(network, names),
        "network_fingerprint": network_fingerprint(network),
        "config": asdict(samples.config),
        "source_size": len(samples.source),
        "target_size": len(samples.target),
        "truncated": samples.source.truncated + samples.target.truncated,
        "chat": getattr(model, "chat", False),  # language models only
        **({"denoising": denoising.facts()} if denoising else {}),
        "versions": library_versions(),
    }
