"""Texts, tables of texts and their scores, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..html.basics import hint, safe, warning
from ..html.texts import SCORES, body, footer, rounded, scores, signed
from ..studio.batch import Item
from ..studio.maps import MapEntry
from ..studio.texts import Continuation

__all__ = ["authors", "batch", "blind", "empty", "passage", "rates", "sweep"]


def empty(title: str, next_step: str) -> str:
    """Return a passage without a text, with a hint what to do next."""
    return f'<article class="passage empty">{_header(title)}{hint(next_step)}</article>'


def passage(
    title: str, prompt: str, written: Continuation, *, keywords: Sequence[str] = (), note: str = ""
) -> str:
    """Return a prompt with its continuation.

    Args:
        title: heading, shown beside λ.
        prompt: text before the continuation.
        written: the continuation; it is still being generated while its scores are None.
        keywords: words that start with one of these are marked.
        note: warning above the text; empty for none.
    """
    return (
        f'<article class="passage">{_header(title, written.strength)}'
        f"{warning(note)}{body(written, keywords, prompt)}"
        f"{footer(written)}</article>"
    )


def sweep(
    title: str,
    prompt: str,
    rows: Sequence[Continuation],
    *,
    keywords: Sequence[str] = (),
    note: str = "",
) -> str:
    """Return a table of continuations, one row per strength, the original marked.

    A click on a row sends its strength, see `row_strength.js`.
    """
    lines = "".join(_sweep_row(row, keywords) for row in rows)
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("λ", "continuation", *SCORES))
    about = f"{title}, “{prompt} …”, one seed: the rows differ only in λ. Click one to use its λ."
    return (
        f"{hint(about)}{warning(note)}"
        f'<table class="sweep"><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>'
    )


def batch(
    items: Sequence[Item], pairs: Sequence[Sequence[Continuation]], keywords: Sequence[str] = ()
) -> str:
    """Return a table of a batch: each prompt with its original and its steered continuation.

    Args:
        items: the prompts with their seeds; those without a pair yet are left out.
        pairs: for each prompt both continuations.
        keywords: words that start with one of these are marked.
    """
    heads = ("prompt", "original", f"steered, λ = {signed(pairs[0][-1].strength)}")
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    lines = "".join(
        f'<tr><th scope="row">{safe(item.prompt)}<small>seed {item.seed}</small></th>'
        + "".join(f"<td>{body(each, keywords)}{footer(each)}</td>" for each in pair)
        + "</tr>"
        for item, pair in zip(items, pairs, strict=False)
    )
    return (
        f'<table class="sweep pairs"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>'
    )


def blind(entry: MapEntry, opening: str, texts: Mapping[str, Continuation]) -> str:
    """Return the question about texts without labels, as in the user study of LinEAS (section C).

    Args:
        entry: a map of the concept.
        opening: the text before all continuations.
        texts: letter -> finished continuation.
    """
    shown = "".join(
        f'<article class="passage"><header><h2>{letter}</h2></header>{body(text, (), opening)}'
        "</article>"
        for letter, text in texts.items()
    )
    return (
        f'<h2>Which text is {_aim(entry)} and most coherent?</h2><div class="texts">{shown}</div>'
    )


def authors(written: Mapping[str, str]) -> str:
    """Report who wrote the texts of a blind comparison: letter -> author."""
    return hint(", ".join(f"{letter} was by {author}" for letter, author in written.items()) + ".")


def _aim(entry: MapEntry) -> str:
    """Say in a few words what a map should do to a text."""
    if entry.harmful:
        return "least toxic"
    if not entry.direction:
        return f"closest to what the map aims at ({safe(entry.title)})"
    topic = safe(entry.title[:1].lower() + entry.title[1:])
    return f"{'most' if entry.direction > 0 else 'least'} about {topic}"


_JUDGES_HINT = (
    "Independent judges of English texts detect toxicity, insults and profanity. A text that only "
    "one of them flags may be an error of that judge. "
)
_RATES_HINT = (
    "Mean ± standard deviation over seeds; shares of few texts "
    "are rough estimates. Perplexity: how surprising the texts are to the unsteered model; low is "
    "natural. Repeated: share of four-word sequences that occurred earlier in the same text. A "
    "looping text has a low perplexity, too."
)


def rates(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of shares and perplexities, one row per strength, the original marked.

    Args:
        rows: rows from `Texts.rates`.
    """
    lines = "".join(_rates_row(row) for row in rows)
    told = _JUDGES_HINT * ("toxicity" in rows[0]["by"]) + _RATES_HINT
    heads = "".join(
        f'<th scope="col">{head}</th>'
        for head in ("λ", *rows[0]["by"], "perplexity", "repeated", "texts")
    )
    return (
        f'<table class="sweep rates"><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>'
        f"{hint(told)}"
    )


def _header(title: str, strength: float | None = None) -> str:
    label = "" if strength is None else f'<span class="lam">λ = {signed(strength)}</span>'
    return f"<header><h2>{title}</h2>{label}</header>"


def _sweep_row(row: Continuation, keywords: Sequence[str]) -> str:
    judged = "".join(
        f'<td data-label="{name}">{value}</td>' for name, value in scores(row).items()
    )
    kind, label = ("", "") if row.strength else (' class="original"', "<small>original</small>")
    strength = signed(row.strength)
    return (
        f'<tr{kind} data-strength="{row.strength}"><th scope="row">'
        f'<button title="Set λ to {strength}">{strength}</button>{label}</th>'
        f"<td>{body(row, keywords)}</td>{judged}</tr>"
    )


def _rates_row(row: Mapping[str, Any]) -> str:
    kind, label = ("", "") if row["strength"] else (' class="original"', "<small>original</small>")
    natural = rounded(row["perplexity"], 1)
    shares = "".join(
        f'<td data-label="{name}">{_share(share, row["texts"])}</td>'
        for name, share in row["by"].items()
    )
    natural_spread = f" ± {row['perplexity_spread']:.1f}" if row["perplexity_spread"] > 0 else ""
    return (
        f'<tr{kind}><th scope="row">{signed(row["strength"])}{label}</th>'
        f"{shares}"
        f'<td data-label="perplexity"><b>{natural}</b>{natural_spread}</td>'
        f'<td data-label="repeated">{row["repetition"]:.0%}</td>'
        f'<td data-label="texts">{row["texts"]}</td></tr>'
    )


def _share(share: Mapping[str, Any], texts: int) -> str:
    if not share["judged"]:
        return "not judged"
    spread = f" ± {share['spread']:.0%}" if share["spread"] > 0 else ""  # 0 for one seed
    left_out = texts - share["judged"]
    note = f" <small>{left_out} not judged</small>" if left_out else ""
    return f"<b>{share['share']:.0%}</b>{spread}{note}"
