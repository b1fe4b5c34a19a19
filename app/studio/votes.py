"""Votes of a blind comparison, stored as lines of a file, and the resulting preferences.

A user sees results without labels and picks one, as in the user studies of LinEAS: the original
and the steered picture (section 4.4), or texts of several methods (section C). Lines are only
appended.
"""

from __future__ import annotations

import errno
import json
import logging
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from lineas_core.storage.disk import read_regular, saving

__all__ = ["ORIGINAL", "STEERED", "UNDECIDED", "Preference", "Vote", "Votes", "wilson"]

ORIGINAL, STEERED, UNDECIDED = "original", "steered", "undecided"
_log = logging.getLogger(__name__)
_Z = 1.96  # 95% of a normal distribution


@dataclass(frozen=True)
class Vote:
    """One vote.

    Attributes:
        title: title of the map, or of all maps that steered the picture together.
        maps: id and λ of each map that took part.
        prompt: the prompt of all results.
        seed: seed of all results.
        choice: the one of `options` that was picked, or undecided.
        options: what could be picked; for texts the methods, and the original.
    """

    title: str
    maps: tuple[tuple[str, float], ...]
    prompt: str
    seed: int
    choice: str
    options: tuple[str, ...] = (STEERED, ORIGINAL)


@dataclass(frozen=True)
class Preference:
    """The votes on the same maps with the same options.

    Attributes:
        title: title in the newest vote.
        picked: number of times that each option was picked.
        undecided: number of undecided votes, which do not count in the shares.
    """

    title: str
    picked: Mapping[str, int]
    undecided: int

    @property
    def decided(self) -> int:
        """Number of decided votes."""
        return sum(self.picked.values())

    def share(self, option: str) -> float:
        """Share of decided votes for an option, 0 to 1; NaN without any."""
        return self.picked[option] / self.decided if self.decided else math.nan

    def interval(self, option: str) -> tuple[float, float]:
        """95% Wilson interval of the share."""
        return wilson(self.picked[option], self.decided)


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
        """Count the votes on each combination of maps and options, most decided votes first."""
        counts: dict[tuple[tuple[str, ...], ...], Counter[str]] = {}
        titles: dict[tuple[tuple[str, ...], ...], str] = {}
        for vote in self._read():
            key = tuple(map_id for map_id, _ in vote.maps), vote.options
            titles[key] = vote.title
            counts.setdefault(key, Counter())[vote.choice] += 1
        found = [
            Preference(titles[k], {each: c[each] for each in k[1]}, c[UNDECIDED])
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
    changed: dict[str, Any] = {"maps": maps, "title": str(fields["title"])}
    if "options" in fields:  # not in those of version 0.1
        changed["options"] = tuple(map(str, fields["options"]))
    vote = Vote(**{**fields, **changed})
    if vote.choice not in (*vote.options, UNDECIDED):
        raise ValueError("unknown choice")
    return vote


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95% Wilson score interval of a share; (0, 1) without trials.

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
