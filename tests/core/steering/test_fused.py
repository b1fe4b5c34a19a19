"""The fused kernel, run by Triton's interpreter where Triton is installed: it is not required."""

import sys
from importlib import import_module
from types import SimpleNamespace

import pytest
import torch

from lineas_core import AffineMap
from lineas_core.steering import fused
from lineas_core.steering.fused import Layout, layout_of, multiply_add, prove

CPU = torch.device("cpu")
KERNEL = "lineas_core.steering.fused_kernel"
# Shape of an activation, axis of its coordinates, and its layout.
LAYOUTS = {
    "GroupNorm": ((3, 32, 5, 7), 1, Layout(3, 32, 35, last=False)),
    "GroupNorm of a sequence": ((3, 7, 5), 1, Layout(3, 7, 5, last=False)),
    "LayerNorm": ((3, 17, 300), -1, Layout(3, 17, 300, last=True)),
    "LayerNorm of pixels": ((3, 5, 7, 6), -1, Layout(3, 35, 6, last=True)),
    "of one vector a row": ((3, 33), 1, Layout(3, 1, 33, last=True)),
    "of one row": ((1, 3, 2500), 1, Layout(1, 3, 2500, last=False)),
}


def _drawn(shape, axis, dtype, *, rows):
    z = torch.randn(shape).to(dtype)
    size = (shape[0], z.shape[axis]) if rows else (z.shape[axis],)
    return z, 1 + torch.randn(size), torch.randn(size)


@pytest.fixture
def launch(monkeypatch):
    """The kernel, interpreted on the processor."""
    pytest.importorskip("triton", minversion="3.9")  # older interpreters round twice in `fma`
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.delitem(sys.modules, KERNEL, raising=False)
    yield import_module(KERNEL).launch
    sys.modules.pop(KERNEL)


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Take the way of a GPU for activations of every size on the processor."""
    monkeypatch.setattr(fused, "_DEVICES", ("cpu",))
    monkeypatch.setattr(fused, "_LEAST", 0)
    monkeypatch.setattr(fused, "_PROVEN", {})


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("kind", LAYOUTS)
def test_the_layout_of_an_activation_is_found(kind, rows):
    shape, axis, expected = LAYOUTS[kind]
    z, scale, shift = _drawn(shape, axis, torch.bfloat16, rows=rows)
    assert layout_of(z, (scale, shift), axis) == expected


def test_channels_that_lie_last_in_memory_are_the_last():
    z, *maps = _drawn((2, 6, 3, 4), 1, torch.bfloat16, rows=True)
    z = z.to(memory_format=torch.channels_last)
    assert layout_of(z, maps, 1) == Layout(2, 12, 6, last=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda z, w, c: (z.float(), w, c),
        lambda z, w, c: (z[..., ::2].transpose(1, 2).contiguous().transpose(1, 2), w, c),
        lambda z, w, c: (z[:0], w[:0], c[:0]),
        lambda z, w, c: (z, w.double(), c.double()),
        lambda z, w, c: (z, w[:1], c[:1]),
        lambda z, w, c: (z, w[:, :-1], c[:, :-1]),
        lambda z, w, c: (z, w, c[0]),
        lambda z, w, c: (z, w.to("meta"), c.to("meta")),
        lambda z, w, c: (z, w.t().contiguous().t(), c.t().contiguous().t()),
    ],
)
def test_what_the_kernel_would_misread_is_not_given_to_it(change):
    z, scale, shift = change(*_drawn((2, 6, 8), 1, torch.bfloat16, rows=True))
    assert layout_of(z, (scale, shift), 1) is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("kind", LAYOUTS)
def test_without_the_kernel_a_gpu_computes_the_same_and_stores_it_at_once(
    kind, rows, dtype, monkeypatch
):
    shape, axis, _ = LAYOUTS[kind]
    z, scale, shift = _drawn(shape, axis, dtype, rows=rows)
    expected = multiply_add(z, scale, shift, axis)  # the way of a processor
    monkeypatch.setattr(fused, "_DEVICES", ("cpu",))
    monkeypatch.setattr(fused, "prove", lambda *_: pytest.fail("too small for a kernel"))
    made = multiply_add(z, scale, shift, axis)
    assert made.dtype == dtype
    assert made.stride() == z.stride()
    assert torch.equal(made, expected)


@pytest.mark.usefixtures("as_on_a_gpu")
def test_gradients_pass_as_on_a_processor(monkeypatch):
    monkeypatch.setattr(fused, "prove", lambda *_: pytest.fail("it has no gradient"))
    z = torch.randn(2, 3, 4, dtype=torch.bfloat16)
    scale, shift = torch.ones(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    AffineMap(scale, shift).apply(z, -1, z).sum().backward()
    torch.testing.assert_close(scale.grad, z.float().sum((0, 1)), rtol=1e-2, atol=1e-2)


@pytest.mark.usefixtures("as_on_a_gpu")
def test_a_kernel_that_fails_is_not_tried_again_and_changes_nothing(monkeypatch, caplog):
    z, scale, shift = _drawn((2, 3, 4), -1, torch.bfloat16, rows=True)
    tried = []

    def broken(*given):
        tried.append(given)
        given[2].fill_(7)
        raise RuntimeError("no compiler")

    monkeypatch.setattr(fused, "prove", lambda *_: broken)
    expected = torch.addcmul(shift[:, None], z, scale[:, None]).bfloat16()
    for _ in range(3):
        assert torch.equal(multiply_add(z, scale, shift, -1), expected)
    assert len(tried) == 1
    assert "no compiler" in caplog.text


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("kind", LAYOUTS)
def test_the_kernel_computes_in_float32_and_rounds_once(launch, kind, rows):
    shape, axis, layout = LAYOUTS[kind]
    z, scale, shift = _drawn(shape, axis, torch.float16, rows=rows)
    view = [shape[0] if rows else 1, *[1] * (len(shape) - 1)]
    view[axis] = shape[axis]
    wide, w, c = z.double(), scale.double().view(view), shift.double().view(view)
    apart = ((wide * w).float() + c.float()).half()
    together = (wide * w + c).float().half()
    for fma, expected in ((False, apart), (True, together)):
        out = torch.full_like(z, torch.nan)
        launch(z, (scale, shift), out, layout, fma=fma)
        assert torch.equal(out, expected)


def test_the_kernel_writes_nothing_beyond_its_rows(launch):
    whole = torch.zeros(4, 5, 7, dtype=torch.float16)
    out, z = whole[1:3], torch.ones(2, 5, 7, dtype=torch.float16)
    launch(z, (torch.full((7,), 2.0), torch.ones(7)), out, Layout(2, 5, 7, last=True), fma=False)
    assert (out == 3).all()
    assert not whole[[0, 3]].any()


def _computed(z, maps, layout, *, fma):
    """What a kernel has to return, in float64 as far as one rounding is enough."""
    shape = (layout.n if maps[0].dim() == 2 else 1, *((1, -1) if layout.last else (-1, 1)))
    w, c = (part.double().view(shape) for part in maps)
    product = z.double() * w
    return (product + c if fma else product.float() + c.float()).float().to(z.dtype)


BROKEN = {
    "rounds down": lambda made, z: torch.where(made > 0, made - made.abs() / 256, made),
    "skips the last row": lambda made, z: torch.cat([made[:-1], z[-1:]]),
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_only_a_kernel_that_rounds_where_torch_does_is_proven(dtype, monkeypatch):
    def launch(z, maps, out, layout, *, fma):
        out.copy_(_computed(z, maps, layout, fma=fma))

    monkeypatch.setitem(sys.modules, KERNEL, SimpleNamespace(launch=launch))
    other = not prove(CPU, dtype).keywords["fma"]
    stubborn = SimpleNamespace(launch=lambda *given, fma: launch(*given, fma=other))
    monkeypatch.setitem(sys.modules, KERNEL, stubborn)
    assert prove(CPU, dtype) is None


@pytest.mark.parametrize("fault", BROKEN)
def test_a_kernel_that_returns_anything_else_is_not(fault, monkeypatch):
    def launch(z, maps, out, layout, *, fma):
        out.copy_(BROKEN[fault](_computed(z, maps, layout, fma=fma), z))

    monkeypatch.setitem(sys.modules, KERNEL, SimpleNamespace(launch=launch))
    assert prove(CPU, torch.bfloat16) is None


def test_a_kernel_that_cannot_start_is_reported_and_not_used(monkeypatch, caplog):
    def launch(*_, fma):
        raise RuntimeError(f"no C compiler, {fma}")

    monkeypatch.setitem(sys.modules, KERNEL, SimpleNamespace(launch=launch))
    assert prove(CPU, torch.bfloat16) is None
    assert "no C compiler" in caplog.text


def test_without_triton_there_is_no_kernel_and_no_warning(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, KERNEL, raising=False)
    assert prove(CPU, torch.bfloat16) is None
    assert not caplog.text


@pytest.mark.usefixtures("launch", "as_on_a_gpu")
def test_the_kernel_is_proven_and_then_steers():
    # In float16, because the interpreter does not round bfloat16 to the nearest number.
    assert prove(CPU, torch.float16)
    z, scale, shift = _drawn((2, 33, 5, 4), 1, torch.float16, rows=True)
    made = multiply_add(z, scale, shift, 1)
    w, c = scale.view(2, 33, 1, 1), shift.view(2, 33, 1, 1)
    assert torch.equal(made, torch.addcmul(c, z, w).half())


def test_a_row_of_the_identity_keeps_every_bit(launch):
    z = torch.randn(2, 9, 40).half()
    scale, shift = torch.ones(2, 40), torch.zeros(2, 40)
    scale[1], shift[1] = 2, 1
    for fma in (False, True):
        out = torch.empty_like(z)
        launch(z, (scale, shift), out, Layout(2, 9, 40, last=True), fma=fma)
        assert torch.equal(out[0], z[0])
        assert not torch.equal(out[1], z[1])
