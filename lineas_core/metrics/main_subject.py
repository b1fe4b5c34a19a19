"""Where the main subject of a scene stands.

A second object in a scene makes the main subject give way. With the object removed, the subject
may stay there, which is as right a picture as one in which it has moved back.

Source: our own.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["with_subject_as_in"]

_REACH = 3 / 16  # of the width: how far a subject gives way at most


def with_subject_as_in(s: Tensor, b: Tensor, place: Tensor) -> Tensor:
    """Return pictures with the main subject where others have it.

    Args:
        s: (n, 3, h, w), from 0 to 1: pictures whose subject can be seen beside the place.
        b: (n, 3, h, w): pictures of the same scenes, in which it may stand farther left or right.
        place: (n, 1, h, w), bool: the place of an object, which tells nothing about the subject.

    Returns:
        (n, 3, h, w): B moved to the left or right as a whole, at the pixels where it then is
        nearer to S than B is, and B elsewhere: what is behind the subject does not move.
    """
    rows = zip(s.split(1), b.split(1), place.split(1), strict=True)
    aside = torch.cat([_shifted(b_row, _distance(row, b_row, at)) for row, b_row, at in rows])
    nearer, farther = ((s - each).square().sum(dim=1, keepdim=True) for each in (aside, b))
    return torch.where(nearer < farther, aside, b)


def _distance(s: Tensor, b: Tensor, place: Tensor) -> int:
    """How many pixels to the right the scene beside the object stands in S, seen from B."""
    if not place.any():
        return 0
    reach = int(_REACH * s.shape[3])
    (top, bottom), (left, right) = (
        (int(at.min()), int(at.max()) + 1) for at in place[0, 0].nonzero().unbind(dim=1)
    )
    near = slice(max(left - reach, 0), right + reach)
    beside = ~place[:, :, top:bottom, near]

    def apart(pixels: int) -> float:
        shifted = _shifted(b[:, :, top:bottom], pixels)[:, :, :, near]
        return float((beside * (s[:, :, top:bottom, near] - shifted)).square().sum())

    return min(range(-reach, reach + 1), key=lambda pixels: (apart(pixels), abs(pixels)))


def _shifted(pixels: Tensor, to_the_right: int) -> Tensor:
    """Move a picture; its edge fills what becomes empty."""
    width = pixels.shape[3]
    columns = (torch.arange(width) - to_the_right).clamp(0, width - 1)
    return pixels[:, :, :, columns]
