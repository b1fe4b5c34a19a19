"""The names under which a model and its maps are served, and the maps of a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock

from lineas_core.errors import UserError
from lineas_core.models.chat import apply_template
from lineas_core.models.decoding import check_tokens
from lineas_core.models.language import LanguageModel
from lineas_core.models.locations import short_name
from lineas_core.serving.errors import ApiError
from lineas_core.steering.affine import SteeringMaps, compose
from lineas_core.steering.plausible import recommended_strength
from lineas_core.storage.fits import check_fits

__all__ = ["Served"]


@dataclass(frozen=True, eq=False)
class Served:
    """A model with the maps that requests can name.

    Attributes:
        model: the model.
        name: name of the unsteered model: of a folder only the last part, of a repository without
            its revision.
        maps: the maps by name.
        full_names: names of maps, whole and without that of the model -> whole.
    """

    model: LanguageModel
    name: str
    maps: Mapping[str, SteeringMaps]
    full_names: Mapping[str, str]
    _encoding: Lock = field(default_factory=Lock)

    @classmethod
    def of(cls, model: LanguageModel, maps: Mapping[str, SteeringMaps]) -> Served:
        """Serve maps on a model, from the device of its network.

        Args:
            model: the model.
            maps: the maps by name; a name contains neither `+` nor `:`.

        Raises:
            UserError: a map was learnt on another model, or cannot have its name.
        """
        for name, each in maps.items():
            if set(name) & {"+", ":"}:
                what = f"a request cannot name the map {name!r}"
                raise UserError("E_NAME", what, remedy="Rename its folder.")
            check_fits(each, model)
        device = model.network.device
        own = short_name(model.name)
        placed = {name: each.to(device) for name, each in maps.items()}
        return cls(model, own, placed, _full_names(own, placed))

    def joined(self, others: Iterable[Served]) -> Served:
        """Serve the maps of others of the same model, too.

        Raises:
            UserError: requests could not tell two maps apart.
        """
        maps = {**self.maps}
        for other in others:
            maps |= other.maps
        return replace(self, maps=maps, full_names=_full_names(self.name, maps))

    @property
    def names(self) -> list[str]:
        """Names of the model, unsteered and with each of the maps."""
        return [self.name, *(f"{self.name}+{self.short(name)}" for name in self.maps)]

    def short(self, name: str) -> str:
        """Return the name of a map without that of the model."""
        return _short(name, self.name)

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
            ApiError: the model has no chat template.
            UserError: its template refuses the messages.
        """
        if not self.model.tokenizer.chat_template:
            message = f"{self.name} has no chat template. Send a prompt to /v1/completions."
            raise ApiError(400, message, code="no_chat_template", param="messages")
        (text,) = apply_template(self.model.tokenizer, self.name, [messages])
        return self._tokens(text, special=False)

    def _tokens(self, text: str, *, special: bool) -> list[int]:
        with self._encoding:  # a tokenizer cannot change its settings while it is used
            ids = self.model.tokenizer(text, add_special_tokens=special)["input_ids"]
        check_tokens(self.model.network, self.name, ids)
        return [*ids]

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
            return part, recommended_strength(self.maps[self._map(part)].metadata)
        try:
            strength = float(number)
        except ValueError:
            strength = float("nan")
        if not -1 <= strength <= 1:
            raise ApiError(
                400,
                f"The strength in {part[:100]!r} is not a number from -1 to 1. Give one after "
                "the colon.",
                code="invalid_strength",
                param="model",
            )
        return name, strength

    def _map(self, given: str) -> str:
        """Return the full name of a map."""
        if given in self.full_names:
            return self.full_names[given]
        known = f"Choose from {', '.join(self.maps)}." if self.maps else "None is served."
        message = f"There is no map {given[:100]!r} for this model. {known}"
        raise ApiError(404, message, code="map_not_found", param="lineas")


def _full_names(model: str, maps: Iterable[str]) -> dict[str, str]:
    """Return the names by which requests can call the maps of a model.

    Raises:
        UserError: two maps would have the same.
    """
    found: dict[str, str] = {}
    for name in maps:
        for each in {name, _short(name, model)}:
            if (other := found.setdefault(each, name)) != name:
                what = f"requests could not tell the maps {other} and {name} apart"
                raise UserError("E_NAME", what, remedy="Rename the folder of one.")
    return found


def _short(name: str, model: str) -> str:
    """Return the name of a map without that of its model."""
    return name.removesuffix(f"-{model}")
