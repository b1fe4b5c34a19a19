import json
import shutil

import pytest

from lineas_core import UserError
from lineas_core.metrics.concept import PROBE, Probe, known_concept


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(PROBE, tmp_path / "probe")


def test_the_probe_knows_the_concepts_of_its_own_world_alone():
    assert known_concept(["with a robot", "robot"], "emoji-world") == "robot"
    assert known_concept(["with a robot", "robot"], "dmd2") is None
    assert known_concept(["a zeppelin"], "emoji-world") is None


def test_a_damaged_probe_is_one_sentence(folder):
    Probe.load(folder)
    weights, labels = folder / "model.safetensors", folder / "labels.json"
    whole = weights.read_bytes()
    weights.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(UserError, match="missing or damaged"):
        Probe.load(folder)
    weights.write_bytes(whole)
    for wrong in ({"subject": ["one"]}, ["one"]):
        labels.write_text(json.dumps(wrong))
        with pytest.raises(UserError, match="missing or damaged"):
            Probe.load(folder)
