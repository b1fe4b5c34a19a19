"""The share of texts with a property at a given cost in perplexity, to compare methods.

n, s     texts at each strength, and strengths
ratio    perplexity of the texts at a strength ÷ that at λ = 0, both under the unsteered model

Between two neighbouring strengths the share is interpolated in the logarithm of the perplexity.
Intervals are from a bootstrap over texts: a draw takes the same places of the list of texts at
every strength, because these share opening and seed, and repeats the whole computation, so that
the noise of the perplexities counts as well. They are no narrower than Wilson's interval of the
share, because a bootstrap sees no noise in a share of 0 or 1.

The same draw takes the same places for every list of n texts. Shares of several maps that have
continued the same openings with the same seeds, and share the texts at λ = 0, are therefore
compared draw by draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["AtCost", "Judged", "interval", "share_at"]

_DRAWS, _KEPT, _SEED = 1000, 200, 0
_SIDES = (0.025, 0.975)
_Z = 1.96  # standard deviations from the middle to both sides
_Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """The texts at one strength.

    Attributes:
        strength: λ.
        has: for each of n texts, whether it has the property; None if that cannot be judged.
        log_p: for each, its log-probability under the unsteered model and its number of tokens.
    """

    strength: float
    has: Sequence[bool | None]
    log_p: Sequence[Sequence[float]]


@dataclass(frozen=True)
class AtCost:
    """The share at a ratio of perplexities.

    Attributes:
        share: 0 to 1.
        low: lower end of its 95% interval.
        high: its upper end.
        strength: the λ at which the ratio is reached.
        ratio: the ratio at that strength: the wanted one, or, if no strength reaches that, the
            one at the highest strength.
        reached: whether a strength reaches the wanted ratio.
        draws: the share in 200 draws of the bootstrap, rounded to thousandths.
    """

    share: float
    low: float
    high: float
    strength: float
    ratio: float
    reached: bool
    draws: Sequence[float]


def interval(draws: Sequence[float] | _Numbers) -> tuple[float, float]:
    """Return both ends of the 95% interval of a quantity, from its values in many draws."""
    low, high = np.nanquantile(draws, _SIDES)
    return float(low), float(high)


def share_at(judged: Sequence[Judged], ratio: float) -> AtCost:
    """Interpolate the share at a ratio of perplexities.

    Args:
        judged: s strengths in ascending order, the first of them 0; the same n openings and seeds
            in the same order at each.
        ratio: the wanted ratio, above 1.
    """
    has = np.array([[np.nan if h is None else h for h in one.has] for one in judged], float)
    log_p, tokens = np.moveaxis(np.array([one.log_p for one in judged], float), 2, 0)
    strengths = np.array([one.strength for one in judged])
    n = has.shape[1]

    def cross(weights: _Numbers) -> tuple[float, float, float]:
        """Share, strength and ratio, with a weight for each of the n texts."""
        known = ~np.isnan(has)
        shares = np.where(known, has, 0) @ weights / (known @ weights)
        losses = -(log_p @ weights) / (tokens @ weights)
        return _crossing(shares, strengths, losses - losses[0], np.log(ratio))

    random = np.random.default_rng(_SEED)
    counts = random.multinomial(n, np.full(n, 1 / n), size=_DRAWS).astype(float)
    with np.errstate(invalid="ignore"):  # all texts may be empty, and none of a draw judged
        share, strength, cost = cross(np.ones(n))
        drawn = [cross(draw)[0] for draw in counts]
        low, high = interval(drawn)
    least, most = _wilson(share, n)
    return AtCost(
        share,
        min(low, least),
        max(high, most),
        strength,
        ratio=float(np.exp(cost)),
        reached=bool(cost == np.log(ratio)),
        draws=[round(one, 3) for one in drawn[:_KEPT]],
    )


def _crossing(
    shares: _Numbers, strengths: _Numbers, costs: _Numbers, wanted: float
) -> tuple[float, float, float]:
    """Share, strength and cost where the cost first reaches the wanted one, else at the end."""
    costs = np.nan_to_num(costs, nan=np.inf)  # empty texts have no perplexity
    reaching = np.flatnonzero(costs >= wanted)
    if not len(reaching):
        return float(shares[-1]), float(strengths[-1]), float(costs[-1])
    k = reaching[0]
    part = (wanted - costs[k - 1]) / (costs[k] - costs[k - 1])
    share, strength = (x[k - 1] + part * (x[k] - x[k - 1]) for x in (shares, strengths))
    return float(share), float(strength), wanted


def _wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's interval of a share of n texts."""
    spread = _Z**2 / n
    middle = (share + spread / 2) / (1 + spread)
    half = np.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return float(middle - half), float(middle + half)
