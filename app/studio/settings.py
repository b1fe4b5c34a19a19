"""The settings that determine a result, and links that restore them.

A link is the address of the page followed by `?map=…&strength=…&seed=…&prompt=…`. For several
maps `map` and `strength` are repeated in the order in which the maps are applied. The browser
keeps the address, so that the settings survive a reload.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

from lineas_core import UserError
from lineas_core.models import Sampling

from .checks import number, prompt_text, seed_of, whole
from .mix import MOST_FURTHER
from .steps import Steps, checked_steps, range_text

__all__ = ["LENGTH", "LONGEST", "SEED", "STRIP", "Settings", "plain", "sampling_of"]

STRIP = tuple(k / 4 for k in range(-4, 5))
"""The strengths λ of a strip of pictures and of a table of texts."""
SEED = 1
"""Initial seed."""
LENGTH = 60
"""Initial length of a text in tokens: two or three sentences."""
LONGEST = 200
"""Maximal length of a text in tokens."""
_LONGEST_LINK = 1 << 16  # characters: a prompt of 2,000, each encoded as up to twelve
_MOST_FIELDS = 50


@dataclass(frozen=True)
class Settings:
    """The settings of a picture or a text; they are validated on creation.

    Attributes:
        maps: ids of the maps, in the order in which they are applied.
        strengths: strength λ of each map, -1 to 1.
        prompt: the prompt; empty for the initial prompt of the page.
        seed: seed of the starting noise or of the sampling.
        steps: number of denoising steps of a picture; None is the default of the model.
        guidance: guidance scale of a picture; None is the default of the model.
        steer_steps: numbers of the first and the last denoising step at which maps act, from 0;
            None stands for all. A text is parsed, see `checked_steps`.
        length: length of a text in tokens.
        temperature: sampling temperature of a text, 0 to 2.
        chat: whether the prompt of a text is put into the chat template.
    """

    maps: Sequence[str]
    strengths: Sequence[float]
    prompt: str = ""
    seed: int = SEED
    steps: int | None = None
    guidance: float | None = None
    steer_steps: tuple[int, int] | None = None
    length: int = LENGTH
    temperature: float = Sampling.temperature
    chat: bool = False

    def __post_init__(self) -> None:
        """Validate the fields, as the handlers do.

        Raises:
            UserError: a field is invalid.
        """
        most = MOST_FURTHER + 1
        if not 1 <= len(self.maps) <= most:
            what = f"{len(self.maps)} maps were given"
            raise UserError("E_MAP", what, remedy=f"Give one to {most}.")
        if len(self.strengths) != len(self.maps):
            what = f"{len(self.strengths)} strengths were given for {len(self.maps)} maps"
            raise UserError("E_STRENGTH", what, remedy="Give one for each map.")
        for strength in self.strengths:
            number("λ", strength, -1, 1)
        steps = checked_steps(self.steps, self.guidance, self.steer_steps)
        object.__setattr__(self, "steer_steps", steps.steered)
        sampling_of(self.length, self.temperature)
        seed_of(self.seed)
        if self.prompt:  # stripped as in a request, so that the settings match those of the result
            object.__setattr__(self, "prompt", prompt_text(self.prompt))

    @property
    def denoising(self) -> Steps:
        """Steps, guidance and steered steps of a picture."""
        return Steps(self.steps, self.guidance, self.steer_steps)

    @classmethod
    def from_link(cls, query: str) -> Settings | None:
        """Parse the query of an address; return None if it names no setting.

        Raises:
            UserError: the query is too long or a setting is invalid.
        """
        if len(query) > _LONGEST_LINK:
            what = f"the link has {len(query):,} characters"
            raise UserError("E_LINK", what, remedy="Copy it again from the page.")
        try:
            given = parse_qs(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        except ValueError:
            what = f"the link has more than {_MOST_FIELDS} parts"
            raise UserError("E_LINK", what, remedy="Copy it again from the page.") from None
        if not given.keys() & {"map", "strength", "prompt", *_READERS}:
            return None
        return cls(
            given.get("map", []),
            [_read("strength", text, float) for text in given.get("strength", [])],
            given.get("prompt", [""])[0],
            **{k: _read(k, given[k][0], reader) for k, reader in _READERS.items() if k in given},
        )

    @property
    def query(self) -> str:
        """The query of an address that restores these settings, with its `?`."""
        pairs = [
            pair
            for map_id, strength in zip(self.maps, self.strengths, strict=True)
            for pair in (("map", map_id), ("strength", plain(strength)))
        ]
        pairs += [("seed", str(int(self.seed))), ("prompt", self.prompt)]
        for field in fields(self)[4:]:  # each used by pictures or by texts only
            value = getattr(self, field.name)
            if value != field.default:
                text = range_text(value) if field.name == "steer_steps" else plain(value)
                pairs.append((field.name, text))
        return "?" + urlencode(pairs, quote_via=quote, errors="replace")


def sampling_of(length: object, temperature: object) -> Sampling:
    """Return how a text is sampled, from the values of a request.

    Raises:
        UserError: a value is not a number, or out of bounds.
    """
    return Sampling(
        max_new_tokens=whole("length", length, 1, LONGEST),
        temperature=number("temperature", temperature, 0, 2),
    )


def plain(number: float) -> str:
    """Return the shortest text that is parsed as the same number."""
    return str(number + 0.0).removesuffix(".0")


def _whole(text: str) -> int:
    number = float(text)
    if not number.is_integer():  # False for infinity and NaN as well
        raise ValueError
    return int(number)


_READERS: Mapping[str, Callable[[str], Any]] = {
    "seed": _whole,
    "steps": _whole,
    "guidance": float,
    "steer_steps": str,
    "length": _whole,
    "temperature": float,
    "chat": lambda text: bool(_whole(text)),
}


def _read(name: str, text: str, reader: Callable[[str], Any]) -> Any:
    try:
        return reader(text)
    except ValueError:
        what = f"{name} is {text!r:.60}"
        raise UserError("E_LINK", what, remedy="Give a number.") from None
