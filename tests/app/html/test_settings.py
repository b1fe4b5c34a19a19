from dataclasses import asdict

import pytest

from app.html.settings import LABELS, listed
from lineas_core.methods import METHODS


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_of_a_method_has_a_label_and_a_value_in_words(method):
    shown = listed(asdict(METHODS[method].config))
    assert set(shown) <= set(LABELS.values())
    assert not {"None", "True", "False"} & set(shown.values())


def test_settings_of_an_imported_map_are_listed_whatever_they_are():
    assert listed({"warmup": [1], "seed": None}) == {"warmup": "[1]", "Seed": "none"}
