import json
import math
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lineas_core import FitConfig, SteeringMaps, UserError, find_modules, steer
from lineas_core.evaluation.counts import Written
from lineas_core.methods import METHODS
from lineas_core.tables import TABLES, cells_done, frontier, make, peers, workbench
from lineas_core.tables.continuations import Continuations
from lineas_core.tables.frontier_lines import CORE, OTHERS
from lineas_core.tables.peers import Peer
from tests.fakes import tiny_language_model

OPENINGS = ["a", "b"]
MAPS = SteeringMaps({}, {"config": {}, "keywords": ["ball"], "strength": 1.0, "sha256": "0"})
FRONTIER = TABLES["frontier"]


def _measured(monkeypatch, cost, shares=lambda strength: 0.5, maps=MAPS):
    """Measure maps whose texts have a perplexity of 10 exp(cost(λ))."""
    steered = []

    def written(self, _bench, _maps, strength, _instruction=""):
        steered.append((strength, len(self.repetitions)))
        log_p = [(-10 * (math.log(10) + cost(strength)), 10.0)] * len(self.openings)
        count = round(shares(strength) * len(self.repetitions))
        return [
            Written(["a ball" if k < count else "b"] * len(self.openings), log_p)
            for k in range(len(self.repetitions))
        ]

    monkeypatch.setattr(Continuations, "written", written)
    continuations = Continuations("m", OPENINGS, "topic", range(40))
    return frontier.measure(continuations, None, maps), steered


@pytest.mark.parametrize(
    ("growth", "full"),
    [(0.5, 1.0), (0.1, 4.0), (0.14, 3.0), (0.01, 32.0), (40.0, 0.03125), (0.0, 64.0)],
)
def test_the_full_strength_costs_enough_and_its_half_does_not(monkeypatch, growth, full):
    def cost(strength):
        return growth * strength**1.2

    result, steered = _measured(monkeypatch, cost)
    assert result["facts"]["full λ"] == full
    assert [row["strength"] for row in result["rows"]] == [0, 0.25, 0.5, 0.75, 1]
    if growth:
        assert result["rows"][-1]["ratio"] >= 1.6 > math.exp(cost(0.6 * full))
    assert {count for strength, count in steered if strength > full} <= {20}  # of 40 repetitions
    assert sorted(strength for strength, count in steered if count == 40) == [
        part * full for part in (0, 0.25, 0.5, 0.75, 1)
    ]


def test_a_method_starts_at_the_strength_that_it_recommends(monkeypatch):
    half = SteeringMaps({}, {**MAPS.metadata, "strength": 0.5})
    result, _ = _measured(monkeypatch, lambda strength: strength, maps=half)
    assert result["facts"]["full λ"] == 0.5


def test_a_cell_has_the_share_at_each_perplexity_and_says_what_it_does_not_reach(monkeypatch):
    result, _ = _measured(monkeypatch, lambda s: math.log(1.6) * s, lambda strength: strength)
    for ratio in ("1.1", "1.25", "1.5"):
        found = result["at"][ratio]
        assert found["reached"]
        assert found["share"] == pytest.approx(math.log(float(ratio)) / math.log(1.6), abs=0.02)
        assert found["low"] < found["share"] < found["high"]
    result, _ = _measured(monkeypatch, lambda s: math.log(1.2) * min(s, 1), lambda strength: 0.5)
    assert result["facts"]["at 1.5"].endswith(", only 1.20")
    assert not result["at"]["1.5"]["reached"]
    json.dumps(result)


def _cell(method, share, concept="football", model="m"):
    rows = [
        {"strength": k, "share": share * k, "ratio": 1 + k, "perplexity": 10.0, "by": {}}
        for k in (0, 0.5, 1)
    ]
    draws = [share + k / 1000 for k in range(-40, 41)]  # all rise and fall together
    found = {"share": share, "low": draws[0], "high": draws[-1], "reached": True, "draws": draws}
    key = {"model": model, "concept": concept, "method": method}
    at = {"1.25": found}
    return {"key": key, "facts": {}, "rows": rows, "at": at, "date": "2026-12-01"}


def _topics(method, share):
    return [_cell(method, share, topic) for topic in ("football", "night", "elephant", "day")] + [
        _cell(method, share + 0.1, "fishing")
    ]


def test_the_verdict_compares_lineas_with_the_best_closed_form_over_all_topics():
    done = [
        *_topics("lineas", 0.3),
        *_topics("lineas, late layers", 0.48),
        *_topics("caa", 0.38),
        *_topics("mean-act", 0.2),
        *_topics("peer: repeng", 0.7),
        *_topics("lin-act", 0.9)[:4],  # one is missing
        {"key": _cell("peer: pyvene", 0)["key"], "facts": {"left out": "why"}, "rows": []},
    ]
    verdict = FRONTIER.verdict(done)
    assert verdict.startswith(
        "*m*: mean share over the five topics at perplexity 1.25: peer: repeng 72.0% ("
    )
    assert "LinEAS 32.0% (28.2% to 35.8%)" in verdict
    assert (
        "LinEAS ÷ CAA, the best of the methods without iterations: 0.80 (0.78 to 0.82)" in verdict
    )
    assert "LinEAS, late layers ÷ CAA, the best of the methods without iterations: 1.25" in verdict
    assert "Lin-AcT" not in verdict
    assert FRONTIER.verdict(done[:3]) == ""


def test_the_figure_has_a_panel_for_each_model_and_concept_and_a_line_for_each_method():
    done = [_cell("lineas", 0.3, c, "smollm2-135m") for c in ("football", "night")]
    done.append(_cell("caa", 0.3, "football", "gemma-3-270m"))
    drawn = FRONTIER.figure(FRONTIER.panels, done).decode()
    models = ("SmolLM2 135M Instruct", "Gemma 3 270M (base)")
    titles = (f"football, {models[0]}", f"night, {models[0]}", f"football, {models[1]}")
    assert all(f">{title}</text>" in drawn for title in titles)
    assert "night, gemma-3-270m" not in drawn
    assert ">perplexity, in times that of λ = 0</text>" in drawn
    assert drawn.count(">CAA</text>") == drawn.count(">LinEAS</text>") == 1


def test_the_most_telling_cells_come_first_and_all_concepts_are_there():
    cells = [dict(cell.key) for cell in FRONTIER.cells("small")]
    first = [(cell["concept"], cell["method"]) for cell in cells[: len(CORE) + 1]]
    assert first == [*(("football", name) for name in CORE), ("night", "lineas")]
    assert {"lineas", "caa", "lin-act", "mean-act"} <= set(CORE)
    assert {cell["method"] for cell in cells[: 2 * 5 * len(CORE)]} == set(CORE)
    assert len(cells) == 2 * 5 * len({**CORE, **OTHERS})


def test_every_line_names_a_method_and_settings_that_there_are():
    for name, line in {**CORE, **OTHERS}.items():
        assert line.method in METHODS or line.method in peers.LIBRARIES, name
        if line.method in METHODS:
            workbench.settings_of(line.method, "quick", **line.changes)


def test_late_layers_are_the_last_third_of_the_default_modules(monkeypatch):
    model, found = tiny_language_model(), []
    model.default_modules = [
        f"model.layers.{k}.mlp.{n}_proj" for k in (0, 1) for n in ("up", "gate", "down")
    ]
    bench = workbench.Workbench(None, lambda line: None)
    monkeypatch.setattr(workbench, "load_model", lambda name, **options: model)
    monkeypatch.setattr(bench, "maps", lambda *_, preset, **__: found.append(preset))
    CORE["caa, late layers"].maps(bench, "small", "m", None)
    assert find_modules(model.network, found[0]) == model.default_modules[4:]


def _library(monkeypatch, python, wrong=0.0):
    """Replace the process of a library by one that shifts all modules by the same vector."""
    jobs = []

    def run(command, **_options):
        script, folder = map(Path, command[-2:])
        assert script.is_file()
        job = json.loads((folder / "job.json").read_text())
        jobs.append(job)
        shift, model = torch.linspace(-0.1, 0.1, 32), tiny_language_model()
        maps = {name: peers.AffineMap(torch.ones(32), shift) for name in job["modules"]}
        ids = model.encode([job["text"]]).arguments["input_ids"]
        with torch.no_grad(), steer(model.network, SteeringMaps(maps)):
            logits = model.network(ids).logits + wrong
        tensors = {f"vector:{name}": shift.clone() for name in job["modules"][::-1]}
        save_file({**tensors, "ids": ids, "logits": logits}, folder / "vectors.safetensors")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(peers, "environment", lambda folder: python)
    monkeypatch.setattr(peers.subprocess, "run", run)
    monkeypatch.setattr(peers, "locate", lambda name: type("Place", (), {"source": name}))
    return jobs


def test_a_library_hands_over_vectors_that_become_shifts(monkeypatch, tmp_path):
    jobs = _library(monkeypatch, tmp_path / "python")
    model = tiny_language_model()
    maps = Peer("repeng", tmp_path).learn(
        model, ["a b", "b c", "c"], ["d", "e"], config=FitConfig(), modules=model.default_modules
    )
    assert list(maps) == model.default_modules
    assert all((step.scale == 1).all() for step in maps.values())
    assert maps.metadata["method"] == "peer: repeng"
    assert jobs[0]["source"] == ["a b", "b c"]


def test_a_library_that_steers_otherwise_than_its_vectors_is_refused(monkeypatch, tmp_path):
    _library(monkeypatch, tmp_path / "python", wrong=0.1)
    model = tiny_language_model()
    with pytest.raises(UserError, match="repeng steers otherwise than its vectors"):
        Peer("repeng", tmp_path).learn(
            model, ["a b", "b c"], ["d", "e"], config=FitConfig(), modules=model.default_modules
        )


def test_a_library_that_cannot_be_installed_is_left_out_with_one_sentence(monkeypatch, tmp_path):
    def run(command, **_options):
        error = "ERROR: one\nERROR: No matching distribution found for torch\n"
        raise subprocess.CalledProcessError(1, command, stderr=error)

    monkeypatch.setattr(peers.subprocess, "run", run)
    monkeypatch.setattr(peers, "locate", lambda name: type("Place", (), {"source": name}))
    monkeypatch.setattr(workbench, "load_model", lambda name, **options: tiny_language_model())
    only = {
        "model": {"smollm2-135m"},
        "concept": {"night"},
        "method": {"peer: pyvene, our layers"},
    }
    made = make(FRONTIER, tmp_path, only=only, report=lambda line: None)
    (cell,) = cells_done(tmp_path / "frontier.json")
    assert "No matching distribution found for torch" in cell["facts"]["left out"]
    assert "left out" in made.read_text(encoding="utf-8")


def test_the_environment_is_made_once_for_the_same_versions(monkeypatch, tmp_path):
    commands = []

    def run(command, **_options):
        commands.append(command)
        (tmp_path / "peers").mkdir(exist_ok=True)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(peers.subprocess, "run", run)
    first = peers.environment(tmp_path / "peers")
    assert peers.environment(tmp_path / "peers") == first
    assert len(commands) == 3
    assert "--no-deps" in commands[-1]
    assert f"torch=={peers.version('torch').partition('+')[0]}" in commands[1]
    monkeypatch.setitem(peers.LIBRARIES, "repeng", "9.9")
    peers.environment(tmp_path / "peers")
    assert "repeng==9.9" in commands[-1]


def test_a_text_is_counted_at_equal_cost_with_a_real_model(tmp_path, monkeypatch):
    monkeypatch.setattr(workbench, "load_model", lambda name, **options: tiny_language_model())
    monkeypatch.setattr(frontier, "lines_of", lambda name: workbench.lines_of(name)[:2])
    monkeypatch.setattr(frontier, "_DOUBLINGS", 1)
    monkeypatch.setattr(frontier, "_SEEDS", {"small": range(2)})
    only = {"model": {"smollm2-135m"}, "concept": {"night"}, "method": {"mean-act"}}
    text = make(FRONTIER, tmp_path, only=only, report=lambda line: None).read_text()
    (cell,) = cells_done(tmp_path / "frontier.json")
    assert [row["texts"] for row in cell["rows"]] == [4] * 5
    assert "| at 1.1 | at 1.25 | at 1.5 |" in text
    assert (tmp_path / "frontier.svg").exists()
