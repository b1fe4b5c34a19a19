"""What a method is to its callers: a way to learn maps, called like `lineas_core.learn`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lineas_core.errors import UserError
from lineas_core.learning.config import FitConfig
from lineas_core.learning.samples import UNTOUCHED, Samples, not_finite
from lineas_core.models.base import SteerableModel
from lineas_core.steering.affine import SteeringMaps

__all__ = ["Method", "closed_form"]


@dataclass(frozen=True)
class Method:
    """A way to learn maps.

    Attributes:
        name: key in the table of methods and `metadata["method"]` of the maps.
        title: one sentence.
        learn: (model, source, target, *, config, modules, heldout) -> maps, with the arguments,
            result and errors of `lineas_core.learn`.
        config: what `learn` uses when no config is given.
        strength: λ to start with; what the method's paper uses.
    """

    name: str
    title: str
    learn: Callable[..., SteeringMaps]
    config: FitConfig
    strength: float = 1.0

    @property
    def label(self) -> str:
        """What the title begins with, for where there is room for a word or two."""
        return self.title.partition(":")[0]


def closed_form(
    name: str,
    title: str,
    fit: Callable[[Samples], SteeringMaps],
    *,
    config: FitConfig = FitConfig(),  # noqa: B008 - frozen
    strength: float = 1.0,
) -> Method:
    """A method without iterations, from what is its own: the fit to samples of both sides.

    Its maps carry the same facts as those of `learn`; the held-out distance is taken at the
    method's own strength. Other arguments as in `Method`.
    """
    standard = config

    def learn(
        model: SteerableModel,
        source: Sequence[str],
        target: Sequence[str],
        *,
        config: FitConfig = standard,
        modules: Sequence[str] | None = None,
        heldout: tuple[Sequence[str], Sequence[str]] | None = None,
    ) -> SteeringMaps:
        if not isinstance(config, type(standard)):
            raise UserError(
                "E_SETTING",
                f"the settings for {name} are a {type(config).__name__}",
                remedy=f"Give a {type(standard).__name__}, or none.",
            )
        samples = Samples(model, source, target, config, modules)
        maps = fit(samples)
        for module, step in maps.items():
            if not (step.scale.isfinite().all() and step.shift.isfinite().all()):
                raise not_finite(module)
        facts = samples.facts(name, strength, list(maps))
        if distance := samples.heldout_distance(heldout):
            after = distance(maps.at(strength))
            facts |= {"heldout_start": distance(UNTOUCHED), "heldout": after}
        return SteeringMaps(maps.maps, facts)

    return Method(name, title, learn, standard, strength)
