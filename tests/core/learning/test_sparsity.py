import torch

from lineas_core.learning.sparsity import prox_group_lasso, soft_threshold


def _objective(u, z, widths, threshold):
    penalty = u.abs().sum()
    for block in u.split(widths):
        penalty = penalty + len(block) ** 0.5 * block.norm()
    return 0.5 * (u - z).square().sum() + threshold * penalty


def test_soft_threshold_shrinks_and_zeroes_exactly():
    z = torch.tensor([-2.0, -0.5, 0.0, 0.4, 3.0])
    assert soft_threshold(z, 0.5).tolist() == [-1.5, 0.0, 0.0, 0.0, 2.5]


def test_the_operator_minimises_its_definition():
    z = torch.randn(7, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    widths, threshold = [3, 4], 0.15
    best = prox_group_lasso(z[None], widths, threshold)[0]
    value = _objective(best, z, widths, threshold)
    for seed in range(200):
        direction = torch.randn(7, generator=torch.Generator().manual_seed(seed)).double()
        for step in (1e-1, 1e-2, 1e-3):
            assert _objective(best + step * direction, z, widths, threshold) >= value - 1e-12


def test_a_weak_block_is_switched_off_as_a_whole():
    z = torch.tensor([[0.2, 0.2, 5.0, 5.0]])
    assert prox_group_lasso(z, [2, 2], 0.15)[0, :2].tolist() == [0.0, 0.0]
    assert (prox_group_lasso(z, [2, 2], 0.15)[0, 2:] > 4).all()


def test_scale_and_shift_rows_have_blocks_of_their_own():
    z = torch.tensor([[0.0, 0.0], [4.0, 4.0]])
    out = prox_group_lasso(z, [2], 0.5)
    assert out[0].tolist() == [0.0, 0.0]
    assert (out[1] > 0).all()


def test_threshold_zero_changes_nothing():
    z = torch.randn(2, 5)
    assert torch.equal(prox_group_lasso(z, [5], 0.0), z)


def test_threshold_zero_leaves_a_block_of_zeros_at_zero():
    z = torch.zeros(2, 64)
    assert (prox_group_lasso(z, [64], 0.0) == z).all()
