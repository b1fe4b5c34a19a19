import pytest
import torch
from scipy.optimize import linear_sum_assignment

from lineas_core import UserError, wasserstein_1d


def test_shifted_samples_are_the_squared_shift_apart():
    x = torch.randn(20, 3, dtype=torch.float64)
    shift = torch.tensor([0.5, -2.0, 0.0])
    permuted = (x + shift)[torch.randperm(20)]
    torch.testing.assert_close(wasserstein_1d(x, permuted), shift.double().square())


@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 5), (6, 4), (7, 3), (1, 8), (9, 1)])
def test_any_sizes_agree_with_optimal_assignment(n, m):
    # n*m copies of equal mass make every transport plan an assignment, which scipy solves.
    generator = torch.Generator().manual_seed(10 * n + m)
    x = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    y = torch.randn(m, 2, generator=generator, dtype=torch.float64)
    for j, distance in enumerate(wasserstein_1d(x, y)):
        pairs = x[:, j].repeat_interleave(m)[:, None] - y[:, j].repeat_interleave(n)[None]
        cost = pairs.square().numpy()
        rows, columns = linear_sum_assignment(cost)
        assert distance.item() == pytest.approx(cost[rows, columns].mean())


@pytest.mark.parametrize(("n", "m"), [(6, 6), (6, 4), (3, 7)])
def test_gradient_agrees_with_finite_differences(n, m):
    x = torch.randn(n, 3, dtype=torch.float64, requires_grad=True)
    y = torch.randn(m, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: wasserstein_1d(x, y), (x,))


def test_equal_samples_are_at_distance_zero_in_any_order():
    x = torch.randn(8, 4)
    assert wasserstein_1d(x, x.flip(0)).abs().max() == 0


def test_gaussians_are_at_their_closed_form_distance():
    q = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    normal = torch.special.ndtri(q).unsqueeze(1)
    distance = wasserstein_1d(3 + 2 * normal, normal)
    assert distance.item() == pytest.approx(3**2 + (2 - 1) ** 2, rel=1e-2)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (torch.arange(6).view(3, 2), torch.arange(6).view(3, 2)),  # whole numbers
        (torch.zeros(0, 2), torch.zeros(3, 2)),
        (torch.zeros(3, 2), torch.zeros(0, 2)),
        (torch.zeros(3), torch.zeros(3)),
        (torch.zeros(3, 2), torch.zeros(3, 4)),
        (torch.zeros(3, 2, 1), torch.zeros(3, 2, 1)),
    ],
)
def test_what_are_no_samples_are_refused(x, y):
    with pytest.raises(UserError, match="the samples are .* Give floating-point samples"):
        wasserstein_1d(x, y)
