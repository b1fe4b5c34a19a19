"""A method: a way to learn maps, called like `lineas_core.learn`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lineas_core.errors import UserError
from lineas_core.learning.config import FitConfig, LearnConfig, check_settings
from lineas_core.learning.facts import describe_run, heldout_distance
from lineas_core.learning.samples import UNTOUCHED, Samples, not_finite
from lineas_core.models.base import SteerableModel
from lineas_core.models.denoising import at_each_step
from lineas_core.steering.affine import SteeringMaps

__all__ = ["Method", "check_kind", "check_model", "closed_form"]


@dataclass(frozen=True)
class Method:
    """A way to learn maps.

    Attributes:
        name: key in `METHODS`, and `metadata["method"]` of the learnt maps.
        title: one sentence that starts with the method's short name and a colon.
        learn: (model, source, target, *, config, modules, heldout) -> maps, with the arguments,
            result and errors of `lineas_core.learn`.
        config: default settings; their class is the one that `learn` accepts.
        strength: recommended λ, as in the method's paper.
        kinds: kinds of models that the method can steer, see `SteerableModel.kind`.
        passes: about how many iterations of LinEAS take as long as the default settings.
        chats: whether it can learn from prompts as user turns of a chat.
        checkpoints: whether `learn` also takes `checkpoints`, a folder in which an interrupted
            run leaves its state, and from which the same call resumes.
    """

    name: str
    title: str
    learn: Callable[..., SteeringMaps]
    config: FitConfig
    strength: float = 1.0
    kinds: tuple[str, ...] = ("language", "text-to-image")
    passes: int = 1
    chats: bool = True
    checkpoints: bool = False

    @property
    def label(self) -> str:
        """The method's short name: the title up to the colon."""
        return self.title.partition(":")[0]

    @property
    def iterative(self) -> bool:
        """Whether the method learns by iterations, and so has budgets and can be resumed."""
        return isinstance(self.config, LearnConfig)


def check_model(method: Method, model: SteerableModel) -> None:
    """Refuse a model as `check_kind` does."""
    check_kind(method, model.name, model.kind, chat=getattr(model, "chat", False))


def check_kind(method: Method, name: str, kind: str, *, chat: bool) -> None:
    """Refuse a model of a kind that the method cannot steer, or one that chats if it cannot.

    Args:
        method: the method.
        name: name of the model.
        kind: as in `SteerableModel`.
        chat: whether the model takes prompts as turns of a chat.

    Raises:
        UserError: the model is refused.
    """
    if chat and not method.chats:
        raise UserError(
            "E_CHAT",
            f"{method.label} does not learn from the turns of a chat",
            remedy="Leave out --chat, or choose another method.",
        )
    if kind not in method.kinds:
        raise UserError(
            "E_METHOD",
            f"{method.label} steers {' and '.join(method.kinds)} models, {name} is {kind}",
            remedy="Choose another method, or another model.",
        )


def closed_form(
    name: str,
    title: str,
    fit: Callable[[Samples], SteeringMaps],
    *,
    config: FitConfig = FitConfig(),  # noqa: B008 - frozen
    strength: float = 1.0,
) -> Method:
    """Build a method without iterations.

    Its maps carry the same metadata as those of `lineas_core.learn`; the held-out distance is
    measured at the method's recommended strength. `fit` computes the maps from the samples of
    both sides; the other arguments are as in `Method`.
    """
    defaults = config

    def learn(
        model: SteerableModel,
        source: Sequence[str],
        target: Sequence[str],
        *,
        config: FitConfig = defaults,
        modules: Sequence[str] | str | None = None,
        heldout: tuple[Sequence[str], Sequence[str]] | None = None,
    ) -> SteeringMaps:
        check_settings(config, type(defaults), name)
        if len(steps := at_each_step(model)) > 1:
            what = f"{method.label} learns at one denoising step, not at {len(steps)}"
            raise UserError("E_SETTING", what, remedy="Give one step, or choose LinEAS.")
        samples = Samples(model, source, target, config, modules)
        samples.plan_memory(samples.rows_in_chunks)
        maps = fit(samples)
        _check_finite(maps)
        facts = describe_run(model, samples, name, strength, list(maps))
        if distance := heldout_distance([samples], heldout):
            after = distance(maps.at(strength))
            facts |= {"heldout_start": distance(UNTOUCHED), "heldout": after}
        return SteeringMaps(maps.maps, facts)

    method = Method(name, title, learn, defaults, strength)
    return method


def _check_finite(maps: SteeringMaps) -> None:
    for module, step in maps.affine.items():
        if not (step.scale.isfinite().all() and step.shift.isfinite().all()):
            raise not_finite(module)
