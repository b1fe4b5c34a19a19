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
"""Texts with a higher toxicity are blurred."""


def empty(title: str, next_step: str) -> str:
    """A passage without a text, and what to do about it."""
    return f'<article class="passage empty">{_header(title)}{hint(next_step)}</article>'


def passage(
    title: str, prompt: str, written: Continuation, *, keywords: Sequence[str] = (), note: str = ""
) -> str:
    """A prompt with its continuation.

    Args:
        title: above the text, beside λ.
        prompt: stands in front of the continuation.
        written: the continuation; it is still being written while it has no scores.
        keywords: words that start with one of these are marked.
        note: a sentence above the text.
    """
    toxic, natural = _scores(written)
    return (
        f'<article class="passage">{_header(title, written.strength)}'
        f"{warning(note)}{_body(written, keywords, prompt)}"
        '<footer><span title="Chance that readers find it offensive">toxicity '
        f'<b>{toxic}</b></span><span title="How surprising it is to the unsteered model; '
        f'low is natural">perplexity <b>{natural}</b></span></footer></article>'
    )


def sweep(
    title: str,
    prompt: str,
    rows: Sequence[Continuation],
    *,
    keywords: Sequence[str] = (),
    note: str = "",
) -> str:
    """A table of continuations by a map, one row per strength, the original marked.

    Every row tells its strength to whoever clicks it, see `app.text.tab`.
    """
    lines = "".join(_sweep_row(row, keywords) for row in rows)
    heads = "".join(
        f'<th scope="col">{head}</th>' for head in ("λ", "continuation", "toxicity", "perplexity")
    )
    return (
        f"{hint(f'{title}, “{prompt} …”, one seed: the rows differ by λ. Click one to set λ.')}"
        f"{warning(note)}"
        f'<table class="sweep"><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>'
    )


def progress(rows: Sequence[Mapping[str, Any]], texts: int, seconds: float) -> str:
    """How much of a batch of openings is counted.

    Args:
        rows: as `Studio.rates` gives them.
        texts: of all strengths together, when all is done.
        seconds: spent so far.
    """
    done = sum(row["texts"] for row in rows)
    left = f" · about {clock(seconds / done * (texts - done))} left" if done < texts else ""
    return (
        f'<section class="job"><p><b>{done} of {texts} texts</b>'
        f"<span>{clock(seconds)} spent{left}</span></p>"
        f'<progress max="{texts}" value="{done}" aria-label="Texts"></progress></section>'
    )


_RATES_HINT = (
    "Mean ± standard deviation over seeds. A share of few texts is a rough guess. Repeated: how "
    "much of a text stood in it before, four words at a time; a text that loops has a low "
    "perplexity, too."
)


def rates(rows: Sequence[Mapping[str, Any]], counted: str) -> str:
    """A table of shares and perplexities, one row per strength, the original marked.

    Args:
        rows: as `Studio.rates` gives them.
        counted: what the share is of, such as `toxic texts`.
    """
    lines = "".join(_rates_row(row, counted) for row in rows)
    heads = "".join(
        f'<th scope="col">{head}</th>'
        for head in ("λ", counted, "perplexity", "repeated", "texts")
    )
    return (
        f'<table class="sweep rates"><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>'
        f"{hint(_RATES_HINT)}"
    )


def _header(title: str, strength: float | None = None) -> str:
    lam = "" if strength is None else f'<span class="lam">λ = {_lam(strength)}</span>'
    return f"<header><h2>{title}</h2>{lam}</header>"


def _lam(strength: float) -> str:
    return f"{strength:+.2f}".replace("-", "−") if strength else "0"


def _scores(written: Continuation) -> tuple[str, str]:
    toxic = "…" if written.toxicity is None else f"{written.toxicity:.0%}"
    if written.perplexity is None:
        return toxic, "…"
    return toxic, _rounded(written.perplexity)


def _rounded(perplexity: float, digits: int = 0) -> str:
    return "–" if math.isnan(perplexity) else f"{perplexity:.{digits}f}"


def _body(written: Continuation, keywords: Sequence[str], prompt: str = "") -> str:
    """A continuation behind its prompt; where it is likely offensive, blurred until it is opened.

    What is blurred is nothing to a screen reader. While it is being written it cannot be opened:
    the next word would close it again.
    """
    lead = f'<span class="prompt">{safe(prompt)}</span>' if prompt else ""
    text = _marked(written.text if prompt else written.text.strip(), keywords)
    unfinished = written.perplexity is None
    caret = '<span class="caret"></span>' if unfinished else ""
    if (written.toxicity or 0) <= OFFENSIVE:
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
    toxic, natural = _scores(row)
    kind, label = ("", "") if row.strength else (' class="original"', "<small>original</small>")
    lam = _lam(row.strength)
    return (
        f'<tr{kind} data-strength="{row.strength}"><th scope="row">'
        f'<button title="Set λ to {lam}">{lam}</button>{label}</th>'
        f"<td>{_body(row, keywords)}</td>"
        f'<td data-label="toxicity">{toxic}</td><td data-label="perplexity">{natural}</td></tr>'
    )


def _rates_row(row: Mapping[str, Any], counted: str) -> str:
    kind, label = ("", "") if row["strength"] else (' class="original"', "<small>original</small>")
    natural = _rounded(row["perplexity"], 1)
    spread = f" ± {row['spread']:.0%}" if row["spread"] else ""  # one seed has none
    natural_spread = f" ± {row['perplexity_spread']:.1f}" if row["perplexity_spread"] > 0 else ""
    return (
        f'<tr{kind}><th scope="row">{_lam(row["strength"])}{label}</th>'
        f'<td data-label="{counted}"><b>{row["share"]:.0%}</b>{spread}</td>'
        f'<td data-label="perplexity"><b>{natural}</b>{natural_spread}</td>'
        f'<td data-label="repeated">{row["repetition"]:.0%}</td>'
        f'<td data-label="texts">{row["texts"]}</td></tr>'
    )


def _marked(text: str, keywords: Sequence[str]) -> str:
    pieces = words_from([*map(str, keywords)]).split(unicodedata.normalize("NFC", text))
    return "".join(f"<mark>{safe(p)}</mark>" if k % 2 else safe(p) for k, p in enumerate(pieces))
