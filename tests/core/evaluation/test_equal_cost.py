import math

import pytest

from lineas_core.evaluation.equal_cost import Judged, share_at


def _judged(strength, share, perplexity, n=400):
    has = [k < share * n for k in range(n)]
    return Judged(strength, has, [(-10 * math.log(perplexity), 10.0)] * n)


def test_the_share_is_interpolated_in_the_logarithm_of_the_perplexity():
    judged = [_judged(0.0, 0.0, 10.0), _judged(0.5, 0.1, 11.0), _judged(1.0, 0.5, 16.0)]
    found = share_at(judged, 1.25)
    part = math.log(12.5 / 11) / math.log(16 / 11)
    assert found.share == pytest.approx(0.1 + 0.4 * part)
    assert found.strength == pytest.approx(0.5 + 0.5 * part)
    assert found.ratio == pytest.approx(1.25)
    assert found.reached
    assert found.low < found.share < found.high


def test_a_ratio_that_is_not_reached_gives_the_share_at_the_highest_strength():
    found = share_at([_judged(0.0, 0.0, 10.0), _judged(1.0, 0.5, 11.0)], 1.25)
    assert (found.share, found.strength, found.reached) == (0.5, 1.0, False)
    assert found.ratio == pytest.approx(1.1)


def test_the_first_strength_that_reaches_the_ratio_counts():
    perplexities = (10.0, 15.0, 9.0, 20.0)
    judged = [_judged(k, k / 10, p) for k, p in enumerate(perplexities)]
    assert share_at(judged, 1.5).strength == pytest.approx(1)


@pytest.mark.parametrize("share", [0.0, 1.0, 0.3])
def test_an_interval_is_no_narrower_than_wilsons(share):
    found = share_at([_judged(0.0, share, 10.0), _judged(1.0, share, 20.0)], 1.5)
    spread = 1.96**2 / 400
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    assert found.high - found.low >= 2 * half - 1e-12
    assert found.low + 1e-12 >= 0
    assert found.high <= 1 + 1e-12


def test_the_noise_of_the_perplexity_widens_the_interval():
    start, end = _judged(0.0, 0.0, 10.0), _judged(1.0, 1.0, 40.0)
    noisy = [(-10 * math.log(p), 10.0) for p in (4.0, 400.0)] * 200  # its mean is that of `end`
    plain, wide = share_at([start, end], 2), share_at([start, Judged(1.0, end.has, noisy)], 2)
    assert wide.share == pytest.approx(plain.share)
    assert wide.high - wide.low > 1.5 * (plain.high - plain.low)


def test_texts_that_cannot_be_judged_do_not_count_and_empty_ones_have_no_perplexity():
    one = _judged(1.0, 0.5, 12.0)
    half = Judged(1.0, [h if k % 4 else None for k, h in enumerate(one.has)], one.log_p)
    assert share_at([_judged(0.0, 0.0, 10.0), half], 1.2).share == pytest.approx(0.5, abs=0.01)
    empty = Judged(1.0, one.has, [(0.0, 0.0)] * 400)
    found = share_at([_judged(0.0, 0.0, 10.0), empty], 1.2)
    assert (found.share, found.strength) == (0.0, 0.0)
