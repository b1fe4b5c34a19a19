"""The notebook in docs/, whose cells are run in order without Jupyter, which is not installed."""

import json
from pathlib import Path

import numpy as np

from lineas_core import BUDGETS, LearnConfig, load_maps

NOTEBOOK = Path(__file__).parents[1] / "docs" / "first-map.ipynb"


def _cells(kind):
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == kind]


def _pixels(image):
    return np.asarray(image, dtype=int)


def test_the_notebook_makes_its_first_map_and_steers_with_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(BUDGETS, "quick", LearnConfig(iterations=3))  # rather than 80
    names = {"__name__": "__main__"}
    for number, cell in enumerate(_cells("code")):
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    assert load_maps(tmp_path / "my-vaporwave").metadata["iteration"] <= 3
    alone, original, *_, steered = map(_pixels, (names["picture"], *names["pictures"]))
    rounding = np.abs(original - alone).max()  # of a batch of another size
    assert np.abs(steered - original).max() > 5 * rounding
    assert rounding <= 2


def test_the_notebook_is_five_cells_of_code_without_results():
    assert len(_cells("code")) == 5
    assert not any(cell["outputs"] or cell["execution_count"] for cell in _cells("code"))
