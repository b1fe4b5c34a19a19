"""How far two computations of one value may lie apart, on any processor."""

import torch

# Terms that are added up along the longest path of the tiny networks of `tests.fakes`: two blocks
# of width 32 with their attention; three stages of convolutions of up to 9 x 32 numbers.
TEXT_NETWORK = 512
IMAGE_NETWORK = 4096


def tolerance(dtype=torch.float32, *, terms=1, scale=1.0):
    """Return `rtol` and `atol` for sums of that many terms, added up in any order.

    Each of the additions rounds by at most `eps` of a value; `scale` is the size of the values
    that are added up, which cancel where the sum is small.
    """
    bound = torch.finfo(dtype).eps * terms
    return {"rtol": bound, "atol": bound * scale}


def rounding(dtype=torch.float32, *, terms=1):
    """Return the relative error of such a sum, as `pytest.approx(rel=...)` takes it."""
    return torch.finfo(dtype).eps * terms
