"""Values in, HTML out. Every text of a user, a model or a file passes through `safe`.

`gr.HTML` puts a value into the page as it is. (A template with `{{value}}` would be worse: what
it renders is run as JavaScript.)
"""

from __future__ import annotations

import html
import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from app.library import MapEntry
from app.written import Written
from lineas_core import SteeringMaps
from lineas_core.baselines import METHODS
from lineas_core.metrics.topic import words_from
from lineas_core.models.catalog import MODELS

__all__ = [
    "OFFENSIVE",
    "about",
    "clock",
    "counter",
    "empty",
    "hint",
    "link",
    "not_learnt",
    "passage",
    "progress",
    "rates",
    "safe",
    "summary",
    "sweep",
    "vocabulary",
    "warning",
]

OFFENSIVE = 0.5
"""Texts with a higher toxicity are blurred."""


def safe(value: object) -> str:
    """HTML that shows just this text; the style sheet keeps its line feeds."""
    return html.escape(str(value))


def link(address: str, text: str) -> str:
    """A link; in a window of its own, so that nothing typed here is lost."""
    return f'<a href="{safe(address)}" target="_blank" rel="noopener">{safe(text)}</a>'


def hint(text: str) -> str:
    """A quiet sentence."""
    return f'<p class="hint">{safe(text)}</p>'


def warning(text: str) -> str:
    """A sentence to be read first; nothing where there is none."""
    return f'<p class="note">{safe(text)}</p>' if text else ""


def clock(seconds: float) -> str:
    """A duration in the largest unit that fits."""
    if seconds < 90:
        return f"{round(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def counter(found: int, problems: Sequence[str], enough: int) -> str:
    """How many prompts there are, of how many there should be."""
    remarks = "".join(f'<span class="problem">{safe(problem)}</span>' for problem in problems)
    kind = "enough" if found >= enough else "few"
    return f'<p class="counter"><b class="{kind}">{found} / {enough}</b> prompts{remarks}</p>'


def not_learnt(words: Sequence[str]) -> list[str]:
    """A sentence about words that are new to a small model; none where there are none."""
    listed = ", ".join(f"“{word}”" for word in words)
    return [f"Words that this small model has not learnt: {listed}."] if words else []


def empty(title: str, next_step: str) -> str:
    """A passage without a text, and what to do about it."""
    return f'<article class="passage empty">{_header(title)}{hint(next_step)}</article>'


def passage(
    title: str, prompt: str, written: Written, *, keywords: Sequence[str] = (), note: str = ""
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
    rows: Sequence[Written],
    *,
    keywords: Sequence[str] = (),
    note: str = "",
) -> str:
    """A table of continuations by a map, one row per strength, the original marked.

    Every row tells its strength to whoever clicks it, see `app.tabs.text`.
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


def summary(entry: MapEntry) -> str:
    """A map in two lines, below the menu it was chosen from."""
    by = "" if entry.method == next(iter(METHODS)) else f" · by {safe(entry.method_label)}"
    heldout = _heldout(entry)
    learnt = f"{by} · held-out distance {heldout}" if heldout else by
    return (
        f'<p class="summary">{safe(entry.metadata.get("description", ""))}'
        f"<small>{_licensed(entry.model)}{learnt}</small></p>"
    )


def about(entry: MapEntry, maps: SteeringMaps) -> str:
    """How a map came about and what it does, as a list of facts."""
    kept = maps.not_invertible
    facts = {
        "Base model": _licensed(entry.model),
        "Method": safe(entry.method_title),
        "Learnt from": safe(_learnt_from(entry.metadata)),
        "Held-out distance": _heldout(entry) or "not measured",
        "Steers": safe(f"{len(maps)} modules, {maps.support:.0%} of their coordinates"),
        "Inverse (λ < 0)": safe(f"{kept} coordinates cannot be inverted and stay as they are")
        if kept
        else "every coordinate can be inverted",
    }
    items = "".join(f"<dt>{name}</dt><dd>{fact}</dd>" for name, fact in facts.items())
    return f'<dl class="facts">{items}</dl>'


def vocabulary(words: Mapping[str, Sequence[str]]) -> str:
    """The words that a model knows, under their headings."""
    if not words:
        return hint("This model understands free text.")
    return "".join(
        f'<section class="words"><h3>{safe(heading)}</h3>'
        f"<ul>{''.join(f'<li>{safe(word)}</li>' for word in listed)}</ul></section>"
        for heading, listed in words.items()
    )


def _header(title: str, strength: float | None = None) -> str:
    lam = "" if strength is None else f'<span class="lam">λ = {_lam(strength)}</span>'
    return f"<header><h2>{title}</h2>{lam}</header>"


def _lam(strength: float) -> str:
    return f"{strength:+.2f}".replace("-", "−") if strength else "0"


def _scores(written: Written) -> tuple[str, str]:
    toxic = "…" if written.toxicity is None else f"{written.toxicity:.0%}"
    if written.perplexity is None:
        return toxic, "…"
    return toxic, _rounded(written.perplexity)


def _rounded(perplexity: float, digits: int = 0) -> str:
    return "–" if math.isnan(perplexity) else f"{perplexity:.{digits}f}"


def _body(written: Written, keywords: Sequence[str], prompt: str = "") -> str:
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


def _sweep_row(row: Written, keywords: Sequence[str]) -> str:
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


def _licensed(model: str) -> str:
    entry = MODELS.get(model)
    if entry is None:
        return safe(model)
    return f"{safe(entry.title)} ({link(entry.license_url, entry.license)})"


def _learnt_from(made: Mapping[str, Any]) -> str:
    """The prompts, and what was done with them; a method without iterations has one pass."""
    config = made["config"] if isinstance(made.get("config"), dict) else {}
    told = (
        f"{made.get('source_size', '?')} source and {made.get('target_size', '?')} target prompts"
    )
    if "iteration" not in made:
        return f"{told}, in one pass"
    steps = f"{made['iteration']} iterations, optimizer {config.get('optimizer', '?')}"
    return f"{told}, {steps}, γ = {config.get('sparsity', 0)}"


def _heldout(entry: MapEntry) -> str:
    """Distance before and after, and the strength it was taken at where that is not 1."""
    start, end = entry.metadata.get("heldout_start"), entry.metadata.get("heldout")
    if not isinstance(start, float) or not isinstance(end, float):
        return ""
    at = f" at λ = {entry.strength:g}" if entry.strength != 1 else ""
    return f"{start:.2f} before, {end:.2f} after{at}"
