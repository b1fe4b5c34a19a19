"""Votes of the blind comparison, stored as lines of a file, and the resulting preferences.

A user sees the original and the steered picture without labels and picks one, as in the user
study of LinEAS (section 4.4). Lines are only appended.
"""

from __future__ import annotations

import errno
import json
import logging
import math
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Literal, get_args

from lineas_core.storage.disk import read_regular, saving

__all__ = ["Vote", "Votes", "Choice", "Preference", "wilson"]

Choice = Literal["steered", "original", "undecided"]
_log = logging.getLogger(__name__)
_Z = 1.96  # 95 % of a normal distribution


@dataclass(frozen=True)
class Vote:
    """One vote.

    Attributes:
        title: title of the map, or of all maps that steered the picture together.
        maps: id and λ of each map, in the order in which they were applied.
        prompt: the prompt of both pictures.
        seed: seed of the starting noise.
        choice: the picture that was picked, or undecided.
    """

    title: str
    maps: tuple[tuple[str, float], ...]
    prompt: str
    seed: int
    choice: Choice


@dataclass(frozen=True)
class Preference:
    """The votes for one map, or for several that steered together.

    Attributes:
        title: title in the newest vote.
        steered: number of times the steered picture was picked.
        original: number of times the original picture was picked.
        undecided: number of undecided votes, which do not count in the share.
    """

    title: str
    steered: int
    original: int
    undecided: int

    @property
    def decided(self) -> int:
        """Number of decided votes."""
        return self.steered + self.original

    @property
    def share(self) -> float:
        """Share of decided votes for the steered picture, 0 to 1; NaN without any."""
        return self.steered / self.decided if self.decided else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the share."""
        return wilson(self.steered, self.decided)


class Votes:
    """The votes of one file."""

    def __init__(self, file: Path) -> None:
        """Keep votes in `file`, which is created with the first one.

        Version 0.1 named it `ballots.jsonl`; such a file is renamed.
        """
        former = file.with_name("ballots.jsonl")
        if former.exists() and not file.exists():
            former.replace(file)
        self._file, self._lock = file, Lock()

    def add(self, vote: Vote) -> None:
        """Append a vote.

        Raises:
            UserError: it cannot be saved, such as on a full disk.
        """
        line = json.dumps(asdict(vote), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        with self._lock, saving("the vote was"), self._file.open("a+b", buffering=0) as file:
            size = file.tell()
            file.seek(max(0, size - 1))
            torn = file.read() not in (b"", b"\n")  # by a crash: start a new line
            try:
                if file.write(line := b"\n" * torn + line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                file.truncate(size)
                raise

    def preferences(self) -> list[Preference]:
        """Count the votes of each map or combination of maps, most decided votes first."""
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
        """Read the votes; damaged lines are left out with a warning in the log."""
        lines = list[bytes]()
        try:
            lines = read_regular(self._file).splitlines()
        except FileNotFoundError:  # nobody has voted yet
            pass
        except OSError as error:
            _log.warning("%s cannot be read: %s", self._file.name, error)
        for number, line in enumerate(lines, 1):
            try:
                yield _vote(json.loads(line))
            except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
                _log.warning("Line %d of %s is damaged and left out.", number, self._file.name)


def _vote(fields: dict[str, Any]) -> Vote:
    """Return the vote of a line; raises an error of the built-in types if it is damaged."""
    maps = tuple((str(map_id), float(strength)) for map_id, strength in fields["maps"])
    vote = Vote(**{**fields, "maps": maps, "title": str(fields["title"])})
    if vote.choice not in get_args(Choice):
        raise ValueError("unknown choice")
    return vote


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a share; (0, 1) without trials.

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
