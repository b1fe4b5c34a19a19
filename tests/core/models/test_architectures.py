import pytest

from tests.architectures import ARCHITECTURES, PAGE, QUICK, REFUSED, refusal, try_out


@pytest.mark.parametrize("kind", QUICK)
def test_every_kind_of_architecture_learns_folds_and_writes_in_batches(kind):
    row = try_out(kind)
    assert (row.step, row.reason) == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in ARCHITECTURES if kind not in QUICK])
def test_every_architecture_learns_folds_and_writes_in_batches(kind):
    row = try_out(kind)
    assert (row.step, row.reason) == ("", "")


def test_the_page_has_every_architecture():
    rows = PAGE.read_text(encoding="utf-8").splitlines()
    assert [row.split(" | ")[0][2:] for row in rows if "` |" in row] == ARCHITECTURES
    assert sum(row.startswith("- ") for row in rows) == len(REFUSED)


@pytest.mark.slow
@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_continue_texts_is_refused(kind):
    assert refusal(kind).endswith("Choose a model that writes texts.")
