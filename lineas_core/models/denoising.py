"""How a pipeline denoises: its steps, its guidance, and its starting noise.

A scheduler's configuration can define them under `_painting`; diffusers saves and loads it with
the rest, so that a saved pipeline needs no catalog entry. Version 0.1 wrote `_one_step` instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from inspect import signature
from typing import Any

from lineas_core.errors import UserError
from lineas_core.models.families import Family

__all__ = ["FACTS", "Denoising", "at_each_step", "denoising_of"]

FACTS = "_painting"
"""Key of the facts in a scheduler's configuration."""
_ONE_STEP = "_one_step"
_NOISES = ("per-pixel", "layout")
_MOST_STEPS = 1000


@dataclass(frozen=True)
class Denoising:
    """How a model makes a picture from noise.

    Attributes:
        num_inference_steps: number of denoising steps.
        guidance_scale: weight of the prompt against an empty one, or an input of a network that
            was distilled with it; None if the model has none.
        timesteps: the timesteps of the steps; None leaves them to the scheduler.
        noise: `per-pixel` or `layout`, see `entries.Painting`.
        learn_at: numbers of the steps, from 0, at which maps are learnt.
        steer_at: numbers of the first and the last step at which maps act; None stands for all.
    """

    num_inference_steps: int
    guidance_scale: float | None
    timesteps: tuple[int, ...] | None = None
    noise: str = "per-pixel"
    learn_at: tuple[int, ...] = (0,)
    steer_at: tuple[int, int] | None = None

    def changed(
        self,
        name: str,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        learn_at: int | Sequence[int] | None = None,
        steer_at: Sequence[int] | None = None,
    ) -> Denoising:
        """Return it with other settings; None keeps one.

        Raises:
            UserError: the model `name` does not have a setting, or not this value of it.
        """
        steps = self.num_inference_steps if num_inference_steps is None else num_inference_steps
        if self.timesteps and steps != len(self.timesteps):
            allowed = f"{len(self.timesteps)}, which it was trained for"
            raise _setting(name, "num_inference_steps", steps, allowed)
        if not 1 <= steps <= _MOST_STEPS:
            allowed = f"a number from 1 to {_MOST_STEPS}"
            raise _setting(name, "num_inference_steps", steps, allowed)
        scale = self.guidance_scale if guidance_scale is None else guidance_scale
        if scale is not None and self.guidance_scale is None:
            what = f"{name} was distilled without guidance"
            raise UserError("E_SETTING", what, remedy="Leave out the guidance scale.")
        if scale is not None and not 0 <= scale <= 100:
            raise _setting(name, "guidance_scale", scale, "a number from 0 to 100")
        given = self.learn_at if learn_at is None else learn_at
        places = (given,) if isinstance(given, int) else tuple(given)
        if not places or len({*places}) < len(places) or not {*places} <= {*range(steps)}:
            raise _setting(name, "learn_at", given, f"different steps from 0 to {steps - 1}")
        at: Any = self.steer_at if steer_at is None else tuple(steer_at)
        if at is not None and (len(at) != 2 or not 0 <= at[0] <= at[1] < steps):
            raise _setting(name, "steer_at", at, f"a first and a last step up to {steps - 1}")
        changes: Any = {"num_inference_steps": steps, "guidance_scale": scale, "learn_at": places}
        return replace(self, **changes, steer_at=at)

    def facts(self) -> dict[str, Any]:
        """Return what is written into the metadata of maps."""
        return asdict(self)


def at_each_step(model: Any) -> list[Any]:
    """Return a model once for each step at which it learns, learning there alone.

    Args:
        model: a `SteerableModel`; one that writes texts is returned as it is.
    """
    denoising = getattr(model, "denoising", None)
    if not denoising:
        return [model]
    return [model.with_denoising(learn_at=step) for step in denoising.learn_at]


def denoising_of(pipeline: Any, family: Family, name: str) -> Denoising:
    """Return how a pipeline denoises: as its scheduler's configuration says, or as its call does.

    Raises:
        UserError: the configuration has invalid facts.
    """
    config = pipeline.scheduler.config
    facts = _checked(config, name)
    call = {k: p.default for k, p in signature(pipeline.__call__).parameters.items()}
    argument = family.guidance(pipeline).argument
    scale = facts.get("guidance_scale", family.guidance_scale)
    scale = call.get(argument) if scale is None and argument else scale
    timesteps = facts.get("timesteps")
    if timesteps is not None:
        timesteps = tuple(timesteps)
        if "timesteps" not in signature(pipeline.scheduler.set_timesteps).parameters:
            kind = type(pipeline.scheduler).__name__
            raise _invalid(name, f"timestep is {timesteps[0]}", f"none for a {kind}")
    steps = len(timesteps) if timesteps else facts.get("num_inference_steps")
    return Denoising(
        num_inference_steps=steps or call["num_inference_steps"],
        guidance_scale=None if argument is None else scale,
        timesteps=timesteps,
        noise=facts.get("noise", "per-pixel"),
    )


def _checked(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the facts in a scheduler's configuration, which is data from a file."""
    key = _ONE_STEP if config.get(_ONE_STEP) and not config.get(FACTS) else FACTS
    facts = config.get(key) or {}
    if not isinstance(facts, dict):
        raise _invalid(name, f"{key} is {facts!r}", "a table")
    if key == _ONE_STEP:
        own = {"num_inference_steps": 1, "guidance_scale": 0.0, "noise": facts.get("noise")}
        given = facts.get("timestep")
        facts = {**own, "timesteps": None if given is None else [given]}
    facts = {key: value for key, value in facts.items() if value is not None}
    if facts.get("noise", _NOISES[0]) not in _NOISES:
        raise _invalid(name, f"noise is {facts['noise']!r}", f"one of {_NOISES}")
    most = config.get("num_train_timesteps", _MOST_STEPS)
    for timestep in facts.get("timesteps", ()):
        if not isinstance(timestep, int) or not 0 <= timestep < most:
            raise _invalid(name, f"timestep is {timestep!r}", f"a number below {most}")
    return facts


def _setting(name: str, setting: str, value: object, allowed: str) -> UserError:
    what = f"{setting} is {value!r} for {name}"
    return UserError("E_SETTING", what, remedy=f"Give {allowed}.")


def _invalid(name: str, what: str, allowed: str) -> UserError:
    return UserError("E_MODEL", f"{what}, in the scheduler of {name}", remedy=f"Give {allowed}.")
