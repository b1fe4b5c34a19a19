"""The votes of a blind comparison, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..studio.votes import Preference
from .basics import hint, safe

__all__ = ["votes_table"]

_FEW = 5  # fewer decided votes say nothing of a share


def votes_table(found: Sequence[Preference], labels: Mapping[str, str], heading: str) -> str:
    """Format votes as a table with one row for each option, with its share from five votes on.

    Args:
        found: the votes.
        labels: option -> its name after that of the concept; other options are left out.
        heading: heading of the first column.
    """
    if not found:
        return hint("No votes yet.")
    heads = "".join(f'<th scope="col">{head}</th>' for head in (heading, "votes", "preferred", ""))
    rows = [
        _row(each, option, label)
        for each in found
        for option, label in labels.items()
        if option in each.picked
    ]
    return (
        f'<table class="sweep preferences"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    ) + hint(
        f"From {_FEW} decided votes on, the table gives the share of each option with its 95% "
        "Wilson interval. The line in each bar marks chance. Undecided votes are not counted."
    )


def _row(preference: Preference, option: str, label: str) -> str:
    share, interval = f"<b>{preference.picked[option]}</b> of {preference.decided}", ""
    if preference.decided >= _FEW:
        (low, high), value = preference.interval(option), preference.share(option)
        share += f", {value:.0%} ({low:.0%} to {high:.0%})"
        interval = (
            f'<i class="interval" style="--low: {low:.3f}; --high: {high:.3f}; '
            f'--share: {value:.3f}; --chance: {1 / len(preference.picked):.3f}"></i>'
        )
    undecided = f", {preference.undecided} undecided" if preference.undecided else ""
    return (
        f'<tr><th scope="row">{safe(preference.title)}{safe(label)}</th>'
        f'<td data-label="votes">{preference.decided}{undecided}</td>'
        f'<td data-label="preferred">{share}</td><td>{interval}</td></tr>'
    )
