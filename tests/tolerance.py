"""How far two computations of one value may lie apart, on any processor."""

import torch

# Terms that are added up along the longest path of the tiny networks of `tests.fakes`: two blocks
# of width 32 with their attention; three stages of convolutions of up to 9 x 32 numbers.
TEXT_NETWORK = 512
IMAGE_NETWORK = 4096


def rounding(dtype=torch.float32, *, terms):
    """Return the relative error of a sum of that many terms, added up in any order.

    Each of the additions rounds by at most `eps` of a value.
    """
    return torch.finfo(dtype).eps * terms


def tolerance(dtype=torch.float32, *, terms, scale=1.0):
    """Return `rtol` and `atol` of `torch.testing.assert_close` for such a sum.

    Args:
        dtype: in which the values are added up.
        terms: how many there are.
        scale: their size; where they cancel, the sum is smaller than its error.
    """
    bound = rounding(dtype, terms=terms)
    return {"rtol": bound, "atol": bound * scale}
