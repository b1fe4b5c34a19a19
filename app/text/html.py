"""Texts, tables of texts and their scores, as HTML."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from lineas_core.metrics.topic import words_from

from ..html.basics import clock, hint, safe, warning
from ..studio.texts import Continuation

__all__ = ["OFFENSIVE", "empty", "passage", "progress", "rates", "sweep"]


OFFENSIVE = 0.5
"""Texts to which a judge gives more than this are blurred."""
SCORES = {
    "toxicity": "Probability that the text demeans or threatens somebody, openly or not",
    "insults": "Probability of an open insult, by an independent judge",
    "perplexity": "How surprising the text is to the unsteered model; low is natural",
}
"""The scores of a text -> what they mean."""


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
    scores = "".join(
        f'<span title="{SCORES[name]}">{name} <b>{value}</b></span>'
        for name, value in _scores(written).items()
    )
    return (
        f'<article class="passage">{_header(title, written.strength)}'
        f"{warning(note)}{_body(written, keywords, prompt)}"
        f"<footer>{scores}</footer></article>"
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
    about = f"{title}, “{prompt} …”, one seed: the rows differ by λ only. Click one to use its λ."
    return (
        f"{hint(about)}{warning(note)}"
        f'<table class="sweep"><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>'
    )


def progress(rows: Sequence[Mapping[str, Any]], texts: int, seconds: float) -> str:
    """Return a progress bar of a measurement.

    Args:
        rows: rows from `Texts.rates`.
        texts: total number of texts, all strengths together.
        seconds: time since the start.
    """
    done = sum(row["texts"] for row in rows)
    left = f" · about {clock(seconds / done * (texts - done))} left" if done < texts else ""
    return (
        f'<section class="job"><p><b>{done} of {texts} texts</b>'
        f"<span>{clock(seconds)} spent{left}</span></p>"
        f'<progress max="{texts}" value="{done}" aria-label="Texts"></progress></section>'
    )


_JUDGES_HINT = (
    "Toxicity, insults and profanity are found by independent judges of English: what only one of "
    "them finds may be its own fault. "
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
    label = "" if strength is None else f'<span class="lam">λ = {_strength(strength)}</span>'
    return f"<header><h2>{title}</h2>{label}</header>"


def _strength(strength: float) -> str:
    return f"{strength:+.2f}".replace("-", "−") if strength else "0"


def _scores(written: Continuation) -> dict[str, str]:
    unfinished = written.perplexity is None
    natural = "…" if written.perplexity is None else _rounded(written.perplexity)
    return {
        "toxicity": _probability(written.toxicity, unfinished),
        "insults": _probability(written.insults, unfinished),
        "perplexity": natural,
    }


def _probability(score: float | None, unfinished: bool) -> str:
    if score is None:
        return "…" if unfinished else "not judged"
    return f"{score:.0%}"


def _rounded(perplexity: float, digits: int = 0) -> str:
    return "–" if math.isnan(perplexity) else f"{perplexity:.{digits}f}"


def _body(written: Continuation, keywords: Sequence[str], prompt: str = "") -> str:
    """Return a continuation after its prompt, blurred until a click if it is likely offensive.

    Blurred text is hidden from screen readers. It cannot be opened while it is being generated,
    because every update would close it again.
    """
    lead = f'<span class="prompt">{safe(prompt)}</span>' if prompt else ""
    text = _marked(written.text if prompt else written.text.strip(), keywords)
    unfinished = written.perplexity is None
    caret = '<span class="caret"></span>' if unfinished else ""
    if max(written.toxicity or 0, written.insults or 0) <= OFFENSIVE:
        return f'<p class="text">{lead}{text}{caret}</p>'
    blurred = f'{lead}<span class="blurred" aria-hidden="true">{text}</span>{caret}'
    if unfinished:
        return f'<p class="text">{blurred}</p>'
    return (
        f'<details class="veil"><summary><span class="text">{blurred}</span>'
        '<span class="unveil"><b class="show">Likely offensive · show</b>'
        '<b class="hide">Blur again</b></span></summary>'
        f'<p class="text">{lead}{text}</p></details>'
    )


def _sweep_row(row: Continuation, keywords: Sequence[str]) -> str:
    scores = "".join(
        f'<td data-label="{name}">{value}</td>' for name, value in _scores(row).items()
    )
    kind, label = ("", "") if row.strength else (' class="original"', "<small>original</small>")
    strength = _strength(row.strength)
    return (
        f'<tr{kind} data-strength="{row.strength}"><th scope="row">'
        f'<button title="Set λ to {strength}">{strength}</button>{label}</th>'
        f"<td>{_body(row, keywords)}</td>{scores}</tr>"
    )


def _rates_row(row: Mapping[str, Any]) -> str:
    kind, label = ("", "") if row["strength"] else (' class="original"', "<small>original</small>")
    natural = _rounded(row["perplexity"], 1)
    shares = "".join(
        f'<td data-label="{name}">{_share(share, row["texts"])}</td>'
        for name, share in row["by"].items()
    )
    natural_spread = f" ± {row['perplexity_spread']:.1f}" if row["perplexity_spread"] > 0 else ""
    return (
        f'<tr{kind}><th scope="row">{_strength(row["strength"])}{label}</th>'
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


def _marked(text: str, keywords: Sequence[str]) -> str:
    pieces = words_from([*map(str, keywords)]).split(unicodedata.normalize("NFC", text))
    return "".join(f"<mark>{safe(p)}</mark>" if k % 2 else safe(p) for k, p in enumerate(pieces))
