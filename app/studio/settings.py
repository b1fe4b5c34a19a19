"""What a result depends on, and the link that leads back to it.

A link is the address of the page with `?map=…&strength=…&seed=…&prompt=…` behind it; of several
concepts `map` and `strength` are repeated, in the order in which they act. The browser keeps the
address, so it is all the memory that a reload needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

from lineas_core import UserError
from lineas_core.models import Sampling

from .checks import number, prompt_text, seed_of
from .mix import MOST_FURTHER

__all__ = ["LENGTH", "LONGEST", "SEED", "STRIP", "Settings", "plain"]

STRIP = tuple(k / 4 for k in range(-4, 5))
"""Strengths λ of a strip of pictures and of a table of texts."""
SEED = 1
"""To open with."""
LENGTH = 60
"""Tokens to open with: two or three sentences."""
LONGEST = 200
"""Tokens that may be asked for."""
_LONGEST_LINK = 1 << 16  # characters: a prompt of 2,000, each written as up to twelve
_MOST_FIELDS = 50


@dataclass(frozen=True)
class Settings:
    """All that makes a picture or a text what it is; checked, whoever it comes from.

    Attributes:
        maps: ids, in the order in which they act.
        strengths: λ of each.
        prompt: empty for the one that the page opens with.
        seed: of the noise, or of the dice.
        length: of a text, in tokens.
        temperature: of a text.
        chat: whether a text is asked for as a question.
    """

    maps: Sequence[str]
    strengths: Sequence[float]
    prompt: str = ""
    seed: int = SEED
    length: int = LENGTH
    temperature: float = Sampling.temperature
    chat: bool = False

    def __post_init__(self) -> None:
        """Refuse what no handler would take."""
        most = MOST_FURTHER + 1
        if not 1 <= len(self.maps) <= most:
            what = f"{len(self.maps)} maps came"
            raise UserError("E_MAP", what, remedy=f"Give one to {most}.")
        if len(self.strengths) != len(self.maps):
            what = f"{len(self.strengths)} strengths came for {len(self.maps)} maps"
            raise UserError("E_STRENGTH", what, remedy="Give one for each map.")
        for strength in self.strengths:
            number("λ", strength, -1, 1)
        number("length", self.length, 1, LONGEST)
        number("temperature", self.temperature, 0, 2)
        seed_of(self.seed)
        if self.prompt:  # as it will be made: what was made is found again, and copied, by it
            object.__setattr__(self, "prompt", prompt_text(self.prompt))

    @classmethod
    def of_link(cls, query: str) -> Settings | None:
        """What the part of an address behind its `?` asks for; None where it asks for nothing.

        Raises:
            UserError: it asks for something that cannot be.
        """
        if len(query) > _LONGEST_LINK:
            what = f"it has {len(query):,} characters"
            raise UserError("E_LINK", what, remedy="Copy it again from the page.")
        try:
            given = parse_qs(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        except ValueError:
            what = f"it has more than {_MOST_FIELDS} parts"
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
        """The part of an address that leads back here, with its `?`."""
        pairs = [
            pair
            for map_id, strength in zip(self.maps, self.strengths, strict=True)
            for pair in (("map", map_id), ("strength", plain(strength)))
        ]
        pairs += [("seed", str(int(self.seed))), ("prompt", self.prompt)]
        for field in fields(self)[4:]:  # of texts alone
            value = getattr(self, field.name)
            if value != field.default:
                pairs.append((field.name, plain(value)))
        return "?" + urlencode(pairs, quote_via=quote, errors="replace")


def plain(number: float) -> str:
    """A number, no longer than it must be to be read as the same one."""
    return str(number + 0.0).removesuffix(".0")


def _whole(text: str) -> int:
    number = float(text)
    if not number.is_integer():  # nor is infinity, nor what is no number
        raise ValueError
    return int(number)


_READERS: Mapping[str, Callable[[str], Any]] = {
    "seed": _whole,
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
