"""Blind choices: one line of a file for each, and what they come to.

A visitor sees the original and the steered picture without labels and picks one, as in the user
study of LinEAS (section 4.4). Lines are only ever appended.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Literal, get_args

__all__ = ["Vote", "Votes", "Choice", "Preference", "wilson"]

Choice = Literal["steered", "original", "undecided"]
_Z = 1.96  # 95 % of a normal distribution


@dataclass(frozen=True)
class Vote:
    """One choice.

    Attributes:
        title: of the map, or of all maps that acted together.
        maps: id and λ of each map, in the order in which they acted.
        prompt: what was painted.
        seed: of the noise.
        choice: which of the two pictures was picked, if any.
    """

    title: str
    maps: tuple[tuple[str, float], ...]
    prompt: str
    seed: int
    choice: Choice


@dataclass(frozen=True)
class Preference:
    """The choices about one map, or about several that acted together.

    Attributes:
        title: as in the newest of the votes.
        steered: number of times the steered picture was picked.
        original: number of times the original was.
        undecided: number of times neither was; these do not count in the share.
    """

    title: str
    steered: int
    original: int
    undecided: int

    @property
    def decided(self) -> int:
        """Number of choices that count."""
        return self.steered + self.original

    @property
    def share(self) -> float:
        """Share of the choices that went to the steered picture, 0 to 1; NaN without any."""
        return self.steered / self.decided if self.decided else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Bounds of the share at 95 % confidence."""
        return wilson(self.steered, self.decided)


class Votes:
    """The votes of one file."""

    def __init__(self, file: Path) -> None:
        """Keep votes in `file`, which is created with the first one.

        Version 0.1 called it `ballots.jsonl`; one that lies beside it is taken over.
        """
        former = file.with_name("ballots.jsonl")
        if former.exists() and not file.exists():
            former.replace(file)
        self._file, self._lock = file, Lock()

    def add(self, vote: Vote) -> None:
        """Append a vote."""
        line = json.dumps(asdict(vote), ensure_ascii=False)
        with self._lock, self._file.open("a+b") as file:
            file.seek(max(0, file.tell() - 1))
            torn = file.read() not in (b"", b"\n")  # by a crash: let it spoil no other line
            file.write((b"\n" if torn else b"") + line.encode("utf-8", "replace") + b"\n")

    def preferences(self) -> list[Preference]:
        """The counts of each map, and of those that acted together, most choices first."""
        counts: dict[tuple[str, ...], Counter[str]] = {}
        titles: dict[tuple[str, ...], str] = {}
        for vote in self._read():
            key = tuple(map_id for map_id, _ in vote.maps)
            titles[key] = vote.title
            counts.setdefault(key, Counter())[vote.choice] += 1
        found = [
            Preference(titles[k], *(c[choice] for choice in get_args(Choice)))
            for k, c in counts.items()
        ]
        return sorted(found, key=lambda preference: -preference.decided)

    def _read(self) -> Iterator[Vote]:
        """Every vote that can be read; a line that cannot is passed over."""
        lines = self._file.read_bytes().splitlines() if self._file.exists() else []
        for line in lines:
            with suppress(ValueError, TypeError, LookupError):
                fields = json.loads(line)
                maps = tuple((str(map_id), float(lam)) for map_id, lam in fields["maps"])
                yield Vote(**{**fields, "maps": maps})


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's score interval of a share, at 95 % confidence: (0, 1) without trials.

    (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n); unlike p ± z √(p(1-p)/n) it stays within
    0 and 1 and holds for a handful of trials (Wilson, 1927).
    """
    if not trials:
        return 0.0, 1.0
    p, z = successes / trials, _Z
    middle = p + z * z / (2 * trials)
    half = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)
