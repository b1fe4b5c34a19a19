"""How much of a concept is left in a steered picture whose right answer is known.

A picture is a function of prompt and seed. So what should come out of steering is known wherever a
prompt can be written with the concept and without it: the picture of the prompt without it, from
the same seed.

A    the picture with the concept, untouched
B    the picture of the same scene and seed without the concept, untouched
S    the picture with the concept, steered
P    the picture without the concept, steered

For things the place of the object is where A and B differ clearly; `left_in_place` is measured
there, `cast` and `kept` everywhere else. Looks are everywhere: `way` is measured over the whole
picture, in pixels or in the features of a network that never saw such pictures. Both are
projections on the straight line from A to B, so they tell how far a picture went, and not where
else it went: `trace`, `astray` and the eye tell that.

Where the object makes the main subject stand elsewhere, A and B differ there, too, and a subject
that stays where A has it would count as if the object were left. A fourth picture C, with another
object in its place, tells the two apart, except where both objects hide a part of the subject.
There S is compared with B, or with B shifted sideways by as much as the visible part of the
subject has moved, whichever is nearer.

Source: our own. The paper has no such reference, and asks CLIP and DINOv2 instead (LinEAS,
section 4.4); see `lineas_core.metrics.concept` and `lineas_core.metrics.image_similarity`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from lineas_core.metrics.image_similarity import features_of
from lineas_core.metrics.main_subject import with_subject_as_in

__all__ = [
    "CLEAR",
    "VISIBLE",
    "astray",
    "cast",
    "kept",
    "left_in_place",
    "moved",
    "pixels_from_0_to_1",
    "trace",
    "way",
    "way_in_features",
]

CLEAR = 0.12
"""From here on A and B differ at a pixel: the largest difference of its three colours, 0 to 1."""

VISIBLE = 0.2
"""An object of which more than this is left would be seen by a stranger."""

_FEWEST = 64 / 256**2  # share of the pixels; fewer are the edge of a shadow, not an object
_NO_DISTANCE = 1e-6
_TILES = 4  # a side; what is larger than a tile is light, what is smaller is a subject

Pictures = Sequence[Image.Image]


def left_in_place(
    with_it: Pictures, without: Pictures, steered: Pictures, *, other: Pictures | None = None
) -> list[float]:
    """Share of the object that still stands where it stood.

    Σ(S-B)(A-B) / Σ(A-B)² over the pixels where A and B differ clearly: the share of the difference
    that is left, as least squares sees it. B is first shifted sideways to where S has the main
    subject, at the pixels where that brings it nearer to S.

    Args:
        with_it: n pictures A.
        without: n pictures B of the same scenes and seeds.
        steered: n pictures S.
        other: n pictures C of the same scenes and seeds, with another object in its place. Where
            a second object makes the main subject stand elsewhere, it does so in C as in A;
            pixels in which these two agree do not count.

    Returns:
        n numbers: 1 untouched, 0 gone, below 0 more than gone (S is on the other side of B),
        above 1 stronger than before; NaN where A shows no object to remove.
    """
    a, b, s = _three(with_it, without, steered)
    place = _place(a, b)
    if other is not None:
        a, c = _paired(with_it, other)
        place &= _place(a, c)
    b = with_subject_as_in(s, b, place)
    shares = _projected((s - b) * place, (a - b) * place)
    return [share if seen else math.nan for share, seen in zip(shares, _seen(place), strict=True)]


def trace(with_it: Pictures, without: Pictures, steered: Pictures) -> list[float]:
    """How far the object's place is from what it should show, whatever stands there now.

    √(Σ(S-B)² / Σ(A-B)²) over the same pixels. `left_in_place` is 0 also where a stain of another
    colour took the object's place; this is 0 for B alone.

    Args:
        with_it: n pictures A.
        without: n pictures B.
        steered: n pictures S.

    Returns:
        n numbers, 0 or more: 1 untouched, or as wrong as that; NaN where A shows no object.
    """
    a, b, s = _three(with_it, without, steered)
    place = _place(a, b)
    ratio = _energy((s - b) * place) / _energy((a - b) * place).clamp(min=_NO_DISTANCE)
    roots = ratio.sqrt().tolist()
    return [root if seen else math.nan for root, seen in zip(roots, _seen(place), strict=True)]


def cast(with_it: Pictures, without: Pictures, steered: Pictures) -> list[float]:
    """How much steering changed where the object was not: mean |S - A| there.

    Args:
        with_it: n pictures A.
        without: n pictures B; they tell where the object was.
        steered: n pictures S.

    Returns:
        n numbers from 0 to 255; 0 also where the object fills the picture.
    """
    a, b, s = _three(with_it, without, steered)
    elsewhere = (~_place(a, b)).expand_as(a)
    changed = ((s - a).abs() * elsewhere).flatten(1).sum(dim=1)
    count = elsewhere.flatten(1).sum(dim=1).clamp(min=1)
    return (255 * changed / count).tolist()


def kept(with_it: Pictures, without: Pictures, steered: Pictures) -> list[float]:
    """Share of its own contrast that the rest of the scene keeps.

    Σ S'B' / Σ B'² where the object was not, S' and B' being the pictures less their rough light
    (means of a fourth of the side, blended). `cast` is a mean over sky and meadow, too, and hardly
    sees a subject that fades into them; most of the contrast is in the subject.

    Args:
        with_it: n pictures A; they tell where the object was.
        without: n pictures B.
        steered: n pictures S.

    Returns:
        n numbers: 1 as clear as in B, 0.5 faded to half of it, above 1 harsher; NaN where the
        rest of B has no contrast.
    """
    a, b, s = _three(with_it, without, steered)
    elsewhere = ~_place(a, b)
    return _projected(_contrast(s) * elsewhere, _contrast(b) * elsewhere)


def moved(before: Pictures, after: Pictures) -> list[float]:
    """How far pictures are from each other: mean |after - before|.

    Args:
        before: n pictures, such as those without the concept, untouched (B).
        after: n pictures, such as the same ones steered (P): what steering does where there is
            nothing to do.

    Returns:
        n numbers from 0 to 255.
    """
    x, y = _paired(before, after)
    return (255 * (y - x).abs().flatten(1).mean(dim=1)).tolist()


def way(start: Pictures, end: Pictures, steered: Pictures) -> list[float]:
    """Share of the way from one picture to another that steering went, in pixels.

    (S-A)·(B-A) / |B-A|² over the whole picture.

    Args:
        start: n pictures A, with the look.
        end: n pictures B, the same scenes and seeds without it.
        steered: n pictures S.

    Returns:
        n numbers: 0 not moved, 1 as far as B, above 1 beyond it; NaN where A and B are equal.
    """
    a, b, s = _three(start, end, steered)
    return _projected(s - a, b - a)


def way_in_features(start: Pictures, end: Pictures, steered: Pictures) -> list[float]:
    """The same as `way`, in the features of a network that never saw such pictures.

    EfficientNet-Lite0, see `lineas_core.metrics.image_similarity`; pixels tell little of a look
    that bends or breaks a picture.

    Raises:
        UserError: the package with the network's weights is not installed.
    """
    a, b, s = (features_of(pictures) for pictures in (start, end, steered))
    return _projected(s - a, b - a)


def astray(start: Pictures, end: Pictures, steered: Pictures) -> list[float]:
    """How far steered pictures end from where they should, in the same features.

    |S-B| / |A-B|: what stays of the scene, with the look gone, is what B shows.

    Args:
        start: n pictures A.
        end: n pictures B.
        steered: n pictures S.

    Returns:
        n numbers, 0 or more: 0 for B itself, 1 as far from it as A; NaN where A and B are equal.

    Raises:
        UserError: the package with the network's weights is not installed.
    """
    a, b, s = (features_of(pictures) for pictures in (start, end, steered))
    whole = (a - b).norm(dim=1)
    apart = torch.where(whole > _NO_DISTANCE, whole, math.nan)
    return ((s - b).norm(dim=1) / apart).tolist()


def pixels_from_0_to_1(pictures: Pictures) -> Tensor:
    """(n, 3, h, w), from 0 to 1."""
    rows = np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])
    return torch.from_numpy(rows).permute(0, 3, 1, 2).float() / 255


def _three(*pictures: Pictures) -> tuple[Tensor, Tensor, Tensor]:
    a, b, s = _paired(*pictures)
    return a, b, s


def _paired(*pictures: Pictures) -> list[Tensor]:
    tensors = [pixels_from_0_to_1(rows) for rows in pictures]
    if len({tensor.shape for tensor in tensors}) > 1:
        shapes = [tuple(tensor.shape) for tensor in tensors]
        raise ValueError(f"pictures of {shapes} cannot be compared one by one")
    return tensors


def _place(a: Tensor, b: Tensor) -> Tensor:
    """Where the object is, bool (n, 1, h, w)."""
    return (a - b).abs().amax(dim=1, keepdim=True) > CLEAR


def _contrast(pixels: Tensor) -> Tensor:
    """A picture less its rough light."""
    rough = F.adaptive_avg_pool2d(pixels, _TILES)
    return pixels - F.interpolate(rough, pixels.shape[2:], mode="bilinear")


def _seen(place: Tensor) -> list[bool]:
    return (place.flatten(1).float().mean(dim=1) >= _FEWEST).tolist()


def _projected(x: Tensor, on: Tensor) -> list[float]:
    """x·on / |on|² of every row; NaN where `on` is nothing."""
    whole = _energy(on)
    whole = torch.where(whole > _NO_DISTANCE, whole, math.nan)
    return ((x * on).flatten(1).sum(dim=1) / whole).tolist()


def _energy(x: Tensor) -> Tensor:
    return x.flatten(1).square().sum(dim=1)
