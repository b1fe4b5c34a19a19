"""The names under which a model and its maps are served, and the maps of a request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from lineas_core.errors import UserError
from lineas_core.models.chat import apply_template
from lineas_core.models.language import LanguageModel
from lineas_core.serving.errors import ApiError
from lineas_core.steering.affine import SteeringMaps, compose
from lineas_core.storage.fits import check_fits

__all__ = ["Served"]


@dataclass(frozen=True, eq=False)
class Served:
    """A model with the maps that requests can name.

    Attributes:
        model: the model.
        name: name of the unsteered model: of a folder only the last part.
        maps: the maps by name.
        strengths: for each map the strength λ that a request without one gets.
    """

    model: LanguageModel
    name: str
    maps: Mapping[str, SteeringMaps]
    strengths: Mapping[str, float]
    _encoding: Lock = field(default_factory=Lock)

    @classmethod
    def of(cls, model: LanguageModel, maps: Mapping[str, SteeringMaps]) -> Served:
        """Serve maps on a model, from the device of its network.

        Args:
            model: the model.
            maps: the maps by name; a name ends in no `:NUMBER` and contains no `+`.

        Raises:
            UserError: a map was learnt on another model, or cannot have its name.
        """
        for name, each in maps.items():
            if "+" in name or re.search(r":-?[\d.]*$", name):
                remedy = "Rename its folder."
                what = f"a request cannot name the map {name!r}"
                raise UserError("E_NAME", what, remedy=remedy)
            check_fits(each, model)
        device = model.network.device
        place = Path(model.name)
        own = place.resolve().name if place.is_dir() else model.name
        placed = {name: each.to(device) for name, each in maps.items()}
        return cls(model, own, placed, {name: _strength(each) for name, each in maps.items()})

    @property
    def names(self) -> list[str]:
        """Names of the model, unsteered and with each of the maps."""
        return [self.name, *(f"{self.name}+{self._short(name)}" for name in self.maps)]

    def steering(self, model: str, strengths: Mapping[str, float]) -> SteeringMaps:
        """Return the maps of a request, composed in the order in which it names them.

        Args:
            model: name of the model, with `+MAP` or `+MAP:STRENGTH` for each map.
            strengths: further maps with their strengths, -1 to 1.

        Raises:
            ApiError: the model or a map is unknown, a strength is out of range, or a map is named
                twice.
            UserError: the maps cannot be composed.
        """
        wanted = [*self._in_name(model), *strengths.items()]
        chosen: dict[str, float] = {}
        for given, strength in wanted:
            name = self._map(given)
            if name in chosen:
                message = f"The map {name} is named twice. Name it once."
                raise ApiError(400, message, code="duplicate_map", param="lineas")
            chosen[name] = strength
        acting = {name: strength for name, strength in chosen.items() if strength}
        return compose([self.maps[name] for name in acting], [*acting.values()])

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text to continue."""
        return self._tokens(text, special=True)

    def encode_chat(self, messages: list[dict[str, str]]) -> list[int]:
        """Return the tokens of a conversation, up to the beginning of the model's turn.

        Raises:
            UserError: the model has no chat template, or its template refuses the messages.
        """
        (text,) = apply_template(self.model.tokenizer, self.name, [messages])
        return self._tokens(text, special=False)

    def _tokens(self, text: str, *, special: bool) -> list[int]:
        with self._encoding:  # a tokenizer cannot change its settings while it is used
            tokens = self.model.tokenizer(text, add_special_tokens=special)
        return [*tokens["input_ids"]]

    def _in_name(self, model: str) -> list[tuple[str, float]]:
        """Return the maps in the name of a model, with their strengths."""
        if model != self.name and not model.startswith(f"{self.name}+"):
            raise ApiError(
                404,
                f"The model {model[:100]!r} is not served here. Choose {self.name}.",
                code="model_not_found",
                param="model",
            )
        parts = model[len(self.name) :].split("+")[1:]
        return [self._parsed(part) for part in parts]

    def _parsed(self, part: str) -> tuple[str, float]:
        name, colon, number = part.rpartition(":")
        if not colon:
            return part, self.strengths[self._map(part)]
        try:
            strength = float(number)
        except ValueError:
            strength = float("nan")
        if not -1 <= strength <= 1:
            raise ApiError(
                400,
                f"The strength in {part[:100]!r} is no number from -1 to 1. Give one after the "
                "colon.",
                code="invalid_strength",
                param="model",
            )
        return name, strength

    def _map(self, given: str) -> str:
        """Return the full name of a map."""
        for name in self.maps:
            if given in (name, self._short(name)):
                return name
        known = f"Choose from {', '.join(self.maps)}." if self.maps else "None is served."
        message = f"There is no map {given[:100]!r} for this model. {known}"
        raise ApiError(404, message, code="map_not_found", param="lineas")

    def _short(self, name: str) -> str:
        """Return the name of a map without that of the model."""
        return name.removesuffix(f"-{self.name}")


def _strength(maps: SteeringMaps) -> float:
    """Return the strength of the method that has learnt maps; 1 if the file has no usable one."""
    value = maps.metadata.get("strength")
    return value if isinstance(value, float) and 0 < value <= 1 else 1.0
