import json
import math
import re
import sys
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest
import torch
from typer.testing import CliRunner

from lineas_core import BUDGETS, AffineMap, PromptSet, SteeringMaps, UserError, cli
from lineas_core.evaluation import counts
from lineas_core.evaluation import pictures as picture_sweeps
from lineas_core.evaluation.texts import METRICS
from lineas_core.learning import checkpoints
from lineas_core.learning.lineas import learn
from lineas_core.methods import METHODS
from lineas_core.metrics.insults import insults
from lineas_core.metrics.perplexity import prose_perplexity
from lineas_core.models.sampling import Sampling
from lineas_core.paths import ASSETS
from lineas_core.steering.presets import find_modules
from lineas_core.tables import (
    DETAILS,
    TABLES,
    Cell,
    Table,
    cells_done,
    composition,
    continuations,
    make,
    page,
    pictures,
    prose,
    published,
    similarity,
    topics,
    toxicity,
    truth,
    workbench,
)
from lineas_core.tables import conditions as under
from lineas_core.tables.continuations import Continuations
from lineas_core.tables.figure import draw
from lineas_core.tables.verdicts import Limit, Main, at_cost, compared
from lineas_core.tables.workbench import LINES, Workbench
from tests.fakes import tiny_image_model, tiny_language_model, tiny_layout_model

SET = PromptSet(
    ("a b c", "b c d", "c d e"), ("h g f", "g f e", "f e d"), ("a d",), ("h e",), name="Some set"
)
PANELS = {"share": lambda row: row["share"], "nothing": lambda row: None}
CONFIG = replace(BUDGETS["quick"], iterations=4)
WITH_LINES = (composition, pictures, prose, topics, toxicity)
LEARN = sys.modules[
    "lineas_core.learning.lineas"
]  # the package's attribute of that name is the function


def _table(work):
    cells = [Cell({"model": m, "topic": t}, work(m, t)) for m in "AB" for t in ("x", "y")]
    about = ("some", "Some title", "Table 0", "About it.")
    shares = Main("share", lambda row: row["share"], ".1%")
    return Table(*about, lambda edition: cells, _format_row, PANELS, _verdict, shares)


def _verdict(done):
    return f"It was found in {len(done)} lines."


def _format_row(row):
    return f"{row['share']:.0%}"


def _result(share):
    return {"facts": {"held-out": 0.12345}, "rows": [{"strength": 1.0, "share": share}]}


def test_a_page_has_a_line_for_each_cell_and_a_column_for_each_strength(tmp_path):
    table = _table(lambda m, t: lambda bench: _result(0.5))
    text = make(table, tmp_path, report=lambda line: None).read_text(encoding="utf-8")
    assert "| model | topic | held-out | λ = 1 |" in text
    assert text.count("| 0.123 | 50% |") == 4
    assert "4 of 4 lines" in text
    assert "python -m lineas_core evaluate some" in text


def test_a_page_begins_with_its_verdict_and_one_figure_in_each_cell(tmp_path):
    table = _table(lambda m, t: lambda bench: _result(0.5))
    text = make(table, tmp_path, report=lambda line: None).read_text(encoding="utf-8")
    short, details = text.split(DETAILS)
    assert short.startswith("# Some title\n\nIt was found in 4 lines.\n\n*Share, by λ*\n")
    assert short.count("| 50.0% |") == 4
    assert "held-out" not in short
    assert "About it." in details


def test_a_comparison_names_what_was_counted_alone():
    def cell(label, model, *shares):
        rows = [{"strength": x, "share": y} for x, y in zip((0.0, 0.5), shares, strict=True)]
        return {"key": {"model": model, "method": label}, "rows": rows}

    main = Main("toxic texts", lambda row: row["share"])
    done = [
        *(cell("b", "M", 0.5, 0.25), cell("a", "M", 0.5, 0.1), cell("c", "M", None, None)),
        cell("b", "N", 0.4, 0.3),
    ]
    by_model = compared("method", main, within="model")(done)
    assert by_model == (
        "Toxic texts at full strength, by method, on M: 10% (a), 25% (b); 50% without "
        "steering. Toxic texts at full strength, by method, on N: 30% (b); 40% without steering."
    )
    in_order = compared("method", main, ranked=False)(done)
    assert "by method and model: 25% (b, M), 10% (a, M), 30% (b, N); 47% without" in in_order
    (named,) = compared("method", main)([cell("lin-act, own layers", "M", 0.5, 0.25)]).splitlines()
    assert "by method: 25% (Lin-AcT, own layers); 50% without steering." in named
    assert (
        compared("method", main)(done[2:3])
        == "Toxic texts: to be measured again, by the present judge."
    )


def test_a_comparison_takes_no_mean_over_lines_that_others_do_not_have():
    main = Main("toxic texts", lambda row: row["share"])

    def said(*lines):
        names = ("concept", "γ", "iterations")
        done = [
            {
                "key": dict(zip(names, key.split(), strict=True)),
                "rows": [{"strength": x, "share": y} for x, y in ((0.0, 0.5), (1.0, share))],
            }
            for key, share in lines
        ]
        by = compared("γ", main, ranked=False)(done).partition(", by ")[2]
        return by.partition(";")[0]

    few = [("car 0 80", 0.1), ("car 10 80", 0.2)]
    other = [("dog 0 80", 0.3), ("dog 10 80", 0.4)]
    assert said(*few, *other) == "γ: 20% (0), 30% (10)"
    longer = [("car 10 300", 0.0), ("dog 10 300", 0.02)]
    whole = "γ and iterations: 20% (0, 80), 30% (10, 80), 1% (10, 300)"
    assert said(*few, *other, *longer) == whole
    # A table that is not finished yet.
    assert said(*few, *other[:1]) == "γ and concept: 10% (0, car), 20% (10, car), 30% (0, dog)"
    assert said(*few, *other, *longer[:1]).startswith("γ and iterations and concept: 10% (0, 80, ")


def test_a_comparison_at_equal_cost_is_between_the_strengths():
    def cell(label, *rows):
        named = ({"strength": x, "share": y, "cost": z} for x, y, z in rows)
        return {"key": {"method": label}, "rows": [*named]}

    done = [
        cell("strong", (0.0, 0.5, 10.0), (0.5, 0.3, 10.5), (1.0, 0.0, 12.0)),
        cell("cheap", (0.0, 0.5, 10.0), (0.5, 0.3, 9.0), (1.0, 0.2, 10.1)),
        cell("dear", (0.0, 0.5, 10.0), (0.5, 0.4, 14.0), (1.0, 0.0, 11.0)),
        cell("prompting", (0.0, 0.5, 10.0), (1.0, 0.1, None)),
    ]
    main = Main("toxic texts", lambda row: row["share"])
    limit = Limit(1.1, "the perplexity", lambda row: row["cost"])
    found = {one["key"]["method"]: at_cost(one, main, limit) for one in done}
    assert found["strong"] == pytest.approx(0.3 - 0.3 * math.log(11 / 10.5) / math.log(12 / 10.5))
    assert found["cheap"] == 0.2
    assert found["dear"] == pytest.approx(0.5 - 0.1 * math.log(1.1) / math.log(1.4))
    assert found["prompting"] is None
    assert compared("method", main, limit=limit)(done) == (
        "Toxic texts at 1.1 times the perplexity, or at full strength if that costs less, by "
        "method: 20% (strong), 20% (cheap), 47% (dear); 50% without steering."
    )


@pytest.mark.parametrize("name", TABLES)
def test_the_shipped_pages_are_those_of_the_shipped_figures(name):
    done = cells_done(ASSETS / "tables" / f"{name}.json")
    if done:
        shown = (ASSETS / "tables" / f"{name}.md").read_text(encoding="utf-8")
        order = [dict(cell.key) for cell in TABLES[name].cells("small")]
        assert shown == page(
            TABLES[name], "small", sorted(done, key=lambda c: order.index(c["key"]))
        )


def test_what_is_done_is_not_done_again(tmp_path):
    worked = []

    def work(model, topic):
        def once(_):
            worked.append((model, topic))
            if len(worked) == 2:
                raise KeyboardInterrupt
            return _result(0.1)

        return once

    table = _table(work)
    with pytest.raises(KeyboardInterrupt):
        make(table, tmp_path, report=lambda line: None)
    assert [c["key"] for c in cells_done(tmp_path / "some.json")] == [{"model": "A", "topic": "x"}]
    make(table, tmp_path, report=lambda line: None)
    assert worked == [("A", "x"), ("A", "y"), ("A", "y"), ("B", "x"), ("B", "y")]


def test_a_cell_says_on_which_processor_and_in_which_precision_it_was_computed(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(workbench, "load_model", lambda name, **options: tiny_language_model())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # but the models are on the CPU

    def work(topic):
        def once(bench):
            if topic == "x":
                bench.model("tiny").network.to(torch.bfloat16)
                bench.model("tiny")
            return _result(0.1)

        return once

    table = _table(lambda m, t: work(t))
    text = make(table, tmp_path, only={"model": {"A"}}, report=lambda line: None).read_text()
    x, y = cells_done(tmp_path / "some.json")
    assert x["device"] == y["device"] == "CPU"
    assert x["processor"]
    assert x["dtype"] == "bfloat16 and float32"
    assert "dtype" not in y  # it asked for no model
    assert text.endswith(f"on {x['processor']} and {x['processor']} (bfloat16 and float32).\n")


def test_lines_of_before_have_a_device_but_no_processor():
    table = _table(lambda m, t: lambda bench: _result(0.5))
    old = {"key": {"model": "A", "topic": "x"}, "date": "2026-01-01", **_result(0.5)}
    assert page(table, "small", [old]).endswith("1 of 4 lines, 2026-01-01, on CPU.\n")
    done = [old, {**old, "device": "Some GPU"}, {**old, "device": "CPU", "processor": "P"}]
    done.append({**done[1], "processor": "P", "dtype": "bfloat16"})
    places = "on CPU and P and Some GPU and Some GPU (bfloat16)."
    assert page(table, "small", done).endswith(f"{places}\n")


def test_a_page_says_where_lines_of_one_model_differ_without_steering():
    table = _table(lambda m, t: lambda bench: _result(0.5))

    def said(*rows):
        done = [
            {
                "key": {"model": model, "topic": "x"},
                "date": "2026-01-01",
                "facts": {},
                "rows": [{"strength": 0.0, "share": share, "prose": prose}, *_result(0.9)["rows"]],
            }
            for model, share, prose in rows
        ]
        return page(table, "small", done).partition("At λ = 0, where")[2]

    assert not said(("A", 0.1, 40.842), ("B", 0.2, 30.0), ("A", 0.1, 40.841))
    assert not said(("A", 0.1, 40.842), ("A", 0.1, None))
    assert "ranges are perplexity of prose 40.69 to 40.84 (A, x)." in said(
        ("A", 0.1, 40.842), ("A", 0.1, 40.688), ("B", 0.2, 30.0), ("B", 0.2, 30.1)
    )
    assert "ranges are share 10.0% to 20.0% (A, x)." in said(("A", 0.1, 1.0), ("A", 0.2, 1.0))


def test_a_cell_that_fails_stops_neither_the_others_nor_the_page(tmp_path):
    worked, said = [], []

    def work(model, topic):
        def once(_):
            worked.append((model, topic))
            if topic == "y":
                raise UserError("E_DIVERGED", "it has diverged", remedy="Lower the rate.")
            if (model, topic) == ("B", "x"):
                raise ZeroDivisionError("division by zero")
            return _result(0.1)

        return once

    wanted = (
        r"3 of 4 cells have failed: model=A, topic=y and model=B, topic=y \(it has diverged. "
        r"Lower the rate.\); model=B, topic=x \(ZeroDivisionError: division by zero\)\. The others"
    )
    for _ in range(2):
        with pytest.raises(UserError, match=wanted):
            make(_table(work), tmp_path, report=said.append)
    cells = [("A", "x"), ("A", "y"), ("B", "x"), ("B", "y")]
    assert worked == [*cells, *cells[1:]]
    assert "1 of 4 lines" in (tmp_path / "some.md").read_text(encoding="utf-8")
    assert "failed  model=A, topic=y: it has diverged. Lower the rate." in said
    assert any(line.startswith("Traceback") for line in said)  # of the bug
    assert not any("another process" in line for line in said)


def test_a_table_without_a_finished_cell_still_says_why(tmp_path):
    def work(_bench):
        raise UserError("E_MODEL", "it is missing", remedy="Fetch it.")

    with pytest.raises(UserError, match=r"4 of 4 cells have failed: .* \(it is missing. Fetch it"):
        make(_table(lambda m, t: work), tmp_path, report=lambda line: None)


def test_a_full_disk_stops_a_table_at_once(tmp_path):
    worked = []

    def work(_bench):
        worked.append(1)
        raise UserError("E_DISK", "the map was not saved", remedy="Free some disk space.")

    with pytest.raises(UserError, match=r"^the map was not saved\. Free"):
        make(_table(lambda m, t: work), tmp_path, report=lambda line: None)
    assert worked == [1]


def test_a_part_can_be_made_alone(tmp_path):
    table = _table(lambda m, t: lambda bench: _result(0.1))
    text = make(table, tmp_path, only={"topic": {"y"}}, report=lambda line: None).read_text()
    assert "2 of 4 lines" in text
    both = {"topic": {"x", "y"}, "model": {"A"}}
    assert "3 of 4 lines" in make(table, tmp_path, only=both, report=lambda line: None).read_text()
    with pytest.raises(UserError, match=r"nothing with topic=v or z. Choose from model=A"):
        make(table, tmp_path, only={"topic": {"z", "v"}})


def test_a_line_that_another_process_has_made_meanwhile_stands_once(tmp_path):
    def work(_bench):
        again = _table(lambda m, t: lambda bench: _result(0.2))
        make(again, tmp_path, only={"model": {"A"}, "topic": {"x"}}, report=lambda line: None)
        return _result(0.1)

    made = make(
        _table(lambda m, t: work),
        tmp_path,
        only={"model": {"A"}, "topic": {"x"}},
        report=lambda line: None,
    )
    assert [cell["rows"][0]["share"] for cell in cells_done(tmp_path / "some.json")] == [0.1]
    assert "1 of 4 lines" in made.read_text(encoding="utf-8")


def test_results_that_cannot_be_written_are_one_sentence(tmp_path):
    (tmp_path / "results").write_text("a file")
    table = _table(lambda m, t: lambda bench: _result(0.1))
    with pytest.raises(UserError, match=r"results: the results are not saved \(File exists\)"):
        make(table, tmp_path / "results", report=lambda line: None)


@pytest.mark.parametrize("text", ["{", '{"a": 1}', '[{"key": {}}]', '[{"key": 1, "facts": {}}]'])
def test_a_damaged_file_of_results_is_left_alone(tmp_path, text):
    (tmp_path / "some.json").write_text(text)
    table = _table(lambda m, t: lambda bench: _result(0.1))
    with pytest.raises(UserError, match="are damaged"):
        make(table, tmp_path, report=lambda line: None)
    assert (tmp_path / "some.json").read_text() == text


def test_cells_that_no_longer_belong_to_a_table_are_not_shown_but_kept(tmp_path):
    table = _table(lambda m, t: lambda bench: _result(0.1))
    old = {"key": {"model": "C", "topic": "x"}, "date": "2026-01-01", **_result(0.9)}
    (tmp_path / "some.json").write_text(json.dumps([old]))
    assert "90%" not in make(table, tmp_path, report=lambda line: None).read_text(encoding="utf-8")
    assert old in cells_done(tmp_path / "some.json")


def test_the_figure_has_a_line_for_each_cell_and_is_the_same_when_made_again(tmp_path):
    table = _table(lambda m, t: lambda bench: _result(0.1))
    drawn = []
    for _ in range(2):
        make(table, tmp_path, report=lambda line: None)
        drawn.append((tmp_path / "some.svg").read_text())
    assert drawn[0] == drawn[1]
    assert all(f">{name}</text>" in drawn[0] for name in "ABxy")


def test_the_figure_format_rows_methods_by_dashes_and_leaves_out_what_all_lines_share():
    keys = [{"model": "A", "topic": t, "method": m} for t in ("x", "y", "z") for m in "PQ"]
    cells = [{"key": key, **_result(0.1)} for key in keys]
    drawn = draw({"share": lambda row: row["share"]}, cells).decode()
    assert all(f">{name}</text>" in drawn for name in "xyzPQ")
    assert ">A" not in drawn
    assert len({*re.findall(r"stroke: (#\w+)", drawn)} & {"#1f77b4", "#ff7f0e", "#2ca02c"}) == 3
    assert drawn.count("stroke-dasharray: 5.55,2.4") == 4  # three lines and a sample


def test_in_a_crowd_of_lines_the_means_over_what_all_have_stand_out():
    keys = [{"concept": str(n), "budget": b} for b in "PQ" for n in range(15)]
    cells = [{"key": key, **_result(0.1)} for key in keys[:-1]]  # one has no partner
    bold = "stroke: #262626; stroke-width: 2"
    drawn = draw({"share": lambda row: row["share"]}, cells).decode()
    assert len(re.findall(r"opacity: 0\.2\b", drawn)) == 29
    assert drawn.count("stroke-width: 2") == 2
    assert bold.split(";")[0] in drawn
    few = draw({"share": lambda row: row["share"]}, cells[:20]).decode()
    assert not re.search(r"opacity: 0\.2\b", few)


def test_maps_are_learnt_once_and_anew_when_a_setting_changes(tmp_path, monkeypatch):
    model, bench = tiny_language_model(), Workbench(tmp_path, lambda line: None)
    first = bench.maps(model, SET, config=CONFIG)
    expected = learn(model, SET.source, SET.target, config=CONFIG)
    assert first.metadata["iteration"] == 4
    assert all((first[name].shift == expected[name].shift).all() for name in expected)
    monkeypatch.setattr(LEARN, "learn_iter", None)  # nothing may be learnt
    assert bench.maps(model, SET, config=CONFIG).metadata["iteration"] == 4
    for other in (replace(CONFIG, iterations=5), replace(CONFIG, pooling="max")):
        with pytest.raises(TypeError):
            bench.maps(model, SET, config=other)


def test_maps_are_learnt_anew_for_a_model_with_other_weights_layers_or_pooling(tmp_path):
    bench = Workbench(tmp_path, lambda line: None)
    config = replace(CONFIG, iterations=1)

    def learnt(change):
        model = tiny_language_model()
        change(model)
        bench.maps(model, SET, config=config)
        return len([*tmp_path.glob("*/lineas.safetensors")])

    def retrained(model):
        weight = model.network.get_submodule(model.default_modules[0]).weight
        weight.data.mul_(2)

    def steered_elsewhere(model):
        model.default_modules = model.default_modules[:1]

    def pooled(model):
        model.default_pooling = "max"

    changes = (lambda model: None, retrained, steered_elsewhere, pooled)
    assert [learnt(change) for change in changes] == [1, 2, 3, 4]
    assert [learnt(change) for change in changes] == [4, 4, 4, 4]


def test_no_cached_figure_is_taken_for_one_of_another_precision(tmp_path, monkeypatch):
    model, maps = tiny_language_model(), SteeringMaps({}, {"sha256": "0"})
    monkeypatch.setattr(workbench, "load_model", lambda name, **options: model)
    monkeypatch.setattr(workbench, "native_bfloat16", lambda device: False)
    monkeypatch.setattr(published, "harness", lambda *_: {"mmlu/acc": 0.5})
    config = replace(CONFIG, iterations=1)
    kept = []
    for dtype in (torch.float32, torch.bfloat16, torch.float32):
        model.network.to(dtype)
        bench = Workbench(tmp_path, lambda line: None)
        published.prose(bench, "tiny", maps, 1.0, ["a b c"])
        published.mmlu(bench, "tiny", maps, 1.0)
        Continuations("tiny", ["a"], "topic", range(1)).written(bench, maps, 1.0)
        bench.maps(model, SET, config=config)
        kept.append(len([*tmp_path.glob("row-*.json"), *tmp_path.glob("*/lineas.safetensors")]))
    assert kept == [4, 8, 8]
    # Where the processor decides in which precision a network of float32 learns.
    monkeypatch.setattr(workbench, "native_bfloat16", lambda device: True)
    bench.maps(model, SET, config=config)
    bench.maps(model, SET, config=replace(config, precision="float32"))
    assert len([*tmp_path.glob("*/lineas.safetensors")]) == 4


def test_no_cached_text_is_taken_for_one_that_was_sampled_otherwise(tmp_path, monkeypatch):
    model, maps = tiny_language_model(), SteeringMaps({}, {"sha256": "0"})
    monkeypatch.setattr(workbench, "load_model", lambda name, **options: model)
    written = []
    for most in (40, 50):
        monkeypatch.setattr(under, "Sampling", partial(Sampling, max_new_tokens=most))
        bench = Workbench(tmp_path, lambda line: None)
        Continuations("tiny", ["a"], "topic", range(1)).written(bench, maps, 1.0)
        written.append(len([*tmp_path.glob("row-*.json")]))
    assert written == [1, 2]


def test_maps_that_were_not_saved_to_the_end_are_learnt_again(tmp_path):
    model, bench = tiny_language_model(), Workbench(tmp_path, lambda line: None)
    bench.maps(model, SET, config=CONFIG)
    (weights,) = tmp_path.glob("*/lineas.safetensors")
    weights.unlink()
    bench.maps(model, SET, config=CONFIG)
    assert weights.exists()


def test_an_interrupted_run_goes_on_to_the_same_maps(tmp_path, monkeypatch):
    model, bench = tiny_language_model(), Workbench(tmp_path, lambda line: None)
    expected = learn(model, SET.source, SET.target, config=CONFIG)
    started = []

    def cut(*arguments, resume, **settings):
        started.append(None if resume is None else int(resume["iteration"]))
        for iterate in real(*arguments, resume=resume, **settings):
            yield iterate
            if resume is None and iterate.iteration == 2:
                raise KeyboardInterrupt

    real = LEARN.learn_iter
    monkeypatch.setattr(LEARN, "learn_iter", cut)
    monkeypatch.setattr(checkpoints, "_SECONDS", -1)
    with pytest.raises(KeyboardInterrupt):
        bench.maps(model, SET, config=CONFIG)
    maps = bench.maps(model, SET, config=CONFIG)
    assert started == [None, 2]
    assert all((maps[name].shift == expected[name].shift).all() for name in expected)


def test_a_run_that_diverges_gives_its_best_maps_and_says_so(tmp_path):
    model, bench = tiny_language_model(), Workbench(tmp_path, lambda line: None)
    for name in model.default_modules:
        model.network.get_submodule(name).weight.data.mul_(1e12)
    wild = replace(CONFIG, optimizer="sgd", learning_rate=10, standardise=False, iterations=60)
    with pytest.warns(UserWarning, match="best maps so far"):
        maps = bench.maps(model, SET, config=wild)
    assert workbench.facts_of(maps)["end"] == "diverged"
    assert workbench.end_of(maps, maps) == {"end": "diverged"}


@pytest.mark.parametrize(
    ("name", "key", "tiny"),
    [
        ("topics", {"topic": "night", "budget": "quick"}, tiny_language_model),
        ("toxicity", {"method": "mean-act"}, tiny_language_model),
        ("text-layers", {"layers": "post-layernorms", "method": "lin-act"}, tiny_language_model),
        ("text-sparsity", {"γ": "0.5"}, tiny_language_model),
        ("text-data", {"prompts a side": "4"}, tiny_language_model),
        ("truthfulness", {"method": "lin-act"}, tiny_language_model),
        ("prose", {"method": "mean-act"}, tiny_language_model),
        ("concepts", {"concept": "robot", "budget": "quick"}, tiny_image_model),
        ("layers", {"concept": "vaporwave", "layers": "all-norms"}, tiny_layout_model),
        ("picture-sparsity", {"concept": "robot", "γ": "0.5"}, tiny_layout_model),
        ("picture-data", {"concept": "robot", "prompts a side": "4"}, tiny_image_model),
    ],
)
def test_the_tables_are_made_of_real_figures(tmp_path, monkeypatch, name, key, tiny):
    monkeypatch.setattr(workbench, "load_model", lambda name, **options: tiny())
    for module in WITH_LINES:
        monkeypatch.setattr(module, "lines_of", lambda name: workbench.lines_of(name)[:2])
    monkeypatch.setattr(workbench.Workbench, "maps", _learnt_in_a_moment(workbench.Workbench.maps))
    cells = [c for c in TABLES[name].cells("small") if key.items() <= dict(c.key).items()]
    table = replace(TABLES[name], cells=lambda edition: cells[:1])
    made = make(table, tmp_path, report=lambda line: None).read_text(encoding="utf-8")
    (cell,) = json.loads((tmp_path / f"{name}.json").read_text())
    assert len(cell["rows"]) >= 3
    assert "λ = 1" in made


_PAINTING = tiny_image_model
_WRITING = tiny_language_model


@pytest.mark.parametrize(
    ("name", "key", "tiny", "learnt", "strengths"),
    [
        ("text-sparsity", {"γ": "2.0"}, _WRITING, {"sparsity": 2.0}, 1),
        ("text-data", {"prompts a side": "8"}, _WRITING, {"prompts": 8}, 1),
        (
            "text-layers",
            {"layers": "attention-output", "method": "iti-c"},
            _WRITING,
            {"preset": "attention-output", "method": "iti-c"},
            1,
        ),
        ("toxicity", {"method": "iti-c"}, _WRITING, {"method": "iti-c"}, 0.5),
        ("prose", {"method": "iti-c"}, _WRITING, {"method": "iti-c"}, 0.5),
        (
            "prose",
            {"method": "lineas, identity loss, shifts only"},
            _WRITING,
            {"identity_loss": True, "shift_only": True},
            1,
        ),
        ("toxicity", {"method": "reft"}, _WRITING, {"rank": 4, "preset": None}, 1),
        (
            "toxicity",
            {"method": "lofit-rl"},
            _WRITING,
            {"preset": "attention-output", "judge": insults},
            1,
        ),
        ("prose", {"method": "lrtc-rl"}, _WRITING, {"rank": 2, "preset": ".*[qkvo]_proj"}, 1),
        ("topics", {"topic": "night", "budget": "thorough"}, _WRITING, {"iterations": 1000}, 1),
        ("truthfulness", {"method": "lin-act"}, _WRITING, {"method": "lin-act"}, 1),
        ("picture-sparsity", {"γ": "5.0"}, _PAINTING, {"sparsity": 5.0}, 1),
        ("picture-sparsity", {"iterations": "300"}, _PAINTING, {"iterations": 300}, 1),
        ("picture-data", {"prompts a side": "4"}, _PAINTING, {"prompts": 4}, 1),
        ("layers", {"layers": "attention-v"}, _PAINTING, {"preset": "attention-v"}, 1),
        ("picture-methods", {"method": "iti-c"}, _PAINTING, {"method": "iti-c"}, 0.5),
        (
            "picture-methods",
            {"method": "lineas, activations"},
            _PAINTING,
            {"both_ways": False, "learning_rate": 0.02},
            1,
        ),
        ("concepts", {"budget": "normal"}, _PAINTING, {"iterations": 300}, 1),
    ],
)
def test_a_line_is_learnt_and_measured_as_its_key_says(
    tmp_path, monkeypatch, name, key, tiny, learnt, strengths
):
    settings_used, steered = [], []

    def maps(_self, _model, prompts, *, config, method="lineas", preset=None, **options):
        facts = {"prompts": len(prompts.source), "method": method, "preset": preset}
        settings_used.append({**facts, **options, **vars(config)})
        step = AffineMap(torch.ones(4), torch.ones(4))
        return SteeringMaps({"m": step}, {"config": {}, "sha256": "0", "keywords": ["robot"]})

    @contextmanager
    def fold(_network, _maps, strength=1.0):
        steered.append(strength)
        yield

    monkeypatch.setattr(workbench, "load_model", lambda name, **options: tiny())
    monkeypatch.setattr(workbench.Workbench, "maps", maps)
    for module in (counts, picture_sweeps, published, truth):
        monkeypatch.setattr(module, "fold", fold)
    for module in WITH_LINES:
        monkeypatch.setattr(module, "lines_of", lambda name: workbench.lines_of(name)[:2])
    cell = next(c for c in TABLES[name].cells("small") if key.items() <= dict(c.key).items())
    rows = cell.work(Workbench(tmp_path, lambda line: None))["rows"]
    assert learnt.items() <= settings_used[0].items()
    assert max(row["strength"] for row in rows) == max(steered) == strengths
    assert {row["strength"] for row in rows} <= {0.0, *steered}


@pytest.mark.parametrize(
    ("name", "key", "edition", "learnt"),
    [
        ("layers", {"concept": "robot"}, "small", {"learning_rate": 0.04, "batch_size": 8}),
        ("picture-sparsity", {"γ": "5.0"}, "small", {"learning_rate": 0.04, "sparsity": 5.0}),
        ("picture-methods", {"method": "lineas"}, "small", {"compare": "output"}),
        ("picture-methods", {"method": "lineas, activations"}, "small", {"learning_rate": 0.02}),
        ("concepts", {"budget": "quick"}, "small", {"both_ways": False, "iterations": 80}),
        ("concepts", {"budget": "normal"}, "small", {"both_ways": True, "iterations": 300}),
        ("concepts", {"concept": "robot"}, "paper", {"learning_rate": 1e-4, "batch_size": 4}),
    ],
)
def test_pictures_are_learnt_with_the_settings_of_their_model_and_the_papers_without(
    tmp_path, monkeypatch, name, key, edition, learnt
):
    model = tiny_layout_model()
    monkeypatch.setattr(workbench, "load_model", lambda name, **options: model)
    used = []

    def maps(_self, _model, _prompts, *, config, **_settings):
        used.append(vars(config))
        raise KeyboardInterrupt

    monkeypatch.setattr(workbench.Workbench, "maps", maps)
    cell = next(c for c in TABLES[name].cells(edition) if key.items() <= dict(c.key).items())
    with pytest.raises(KeyboardInterrupt):
        cell.work(Workbench(tmp_path, lambda line: None))
    assert learnt.items() <= used[0].items()


def test_fewer_prompts_end_with_all_of_a_set(monkeypatch):
    prompts = [f"a scene {number}" for number in range(20)]
    monkeypatch.setattr(PromptSet, "load", lambda path: PromptSet(prompts, prompts[:18]))
    counts = [cell.key["prompts a side"] for cell in TABLES["picture-data"].cells("small")]
    assert counts == ["4", "8", "16", "18"] * 3


def test_in_the_papers_edition_other_methods_steer_the_layers_that_suit_them():
    steered = {name: changes.get("preset") for name, (_, changes) in LINES["paper"].items()}
    assert steered["lineas"] is None
    assert steered["lin-act"] == steered["iti-c"] == "attention-output"
    network = tiny_language_model().network
    assert find_modules(network, steered["caa"]) == ["model.layers.0", "model.layers.1"]
    own = {name for name, (_, changes) in LINES["small"].items() if "preset" in changes}
    assert own == {"lofit-rl", "lrtc-rl"}  # they change the attention by definition


def test_the_oracles_learn_last_and_in_the_paper_edition_with_its_settings():
    for name in ("toxicity", "prose"):
        methods = [cell.key["method"] for cell in TABLES[name].cells("small")]
        assert set(methods[-4:]) == {"lofit-rl", "lrtc-rl"}
        assert not {"lofit-rl", "lrtc-rl"} & set(methods[:-4])
    changes = {k: v for k, v in LINES["paper"]["lrtc-rl"][1].items() if k != "preset"}
    config = workbench.settings_of("lrtc-rl", "quick", **changes)
    assert (config.epochs, config.ppo_epochs, config.learning_rate, config.rank) == (
        10,
        20,
        1e-5,
        2,
    )


def test_a_method_with_checkpoints_gets_a_folder_and_the_judge(tmp_path, monkeypatch):
    model, bench, given = tiny_language_model(), Workbench(tmp_path, lambda line: None), []
    plain = METHODS["caa"].learn

    def learn_with_judge(*sides, judge, checkpoints, **settings):
        checkpoints.mkdir(exist_ok=True)
        given.append((judge, checkpoints))
        if len(given) == 1:
            raise KeyboardInterrupt
        return plain(*sides, **settings)

    method = replace(METHODS["caa"], learn=learn_with_judge, checkpoints=True)
    monkeypatch.setitem(METHODS, "caa", method)
    learnt = partial(bench.maps, model, SET, config=method.config, method="caa")
    with pytest.raises(KeyboardInterrupt):
        learnt(judge=len)
    assert given[0][1].is_dir()
    for judge in (len, len, sum):
        learnt(judge=judge)
    assert [judge for judge, _ in given] == [len, len, sum]
    assert given[0][1] == given[1][1] != given[2][1]
    assert not any(folder.exists() for _, folder in given)


def test_texts_that_two_cells_share_are_written_once(tmp_path, monkeypatch):
    monkeypatch.setattr(workbench, "load_model", lambda name, **options: tiny_language_model())
    for module in WITH_LINES:
        monkeypatch.setattr(module, "lines_of", lambda name: workbench.lines_of(name)[:2])
    counted = []

    def write(model, maps, openings, *, strength, **settings):
        instruction = getattr(model, "instruction", "")
        counted.append((maps.metadata.get("method"), strength, instruction))
        return real(model, maps, openings, strength=strength, **settings)

    real = continuations.write
    monkeypatch.setattr(continuations, "write", write)
    wanted = ("mean-act", "iti-c", "prompting")
    cells = {c.key["method"]: c for c in TABLES["toxicity"].cells("small")[::-1]}
    table = replace(TABLES["toxicity"], cells=lambda edition: [cells[name] for name in wanted])
    for _ in range(2):
        make(table, tmp_path, report=lambda line: None)
        (tmp_path / "toxicity.json").unlink()
    assert len({row[:2] for row in counted if row[1]}) == 10
    assert [row for row in counted if not row[1]] == [
        ("mean-act", 0.0, ""),
        (None, 0.0, "Continue the text in a non-toxic way."),
    ]
    assert len(counted) == 12


def test_two_topics_are_counted_alone_and_together(tmp_path, monkeypatch):
    monkeypatch.setattr(workbench, "load_model", lambda name, **options: tiny_language_model())
    for module in WITH_LINES:
        monkeypatch.setattr(module, "lines_of", lambda name: workbench.lines_of(name)[:2])
    monkeypatch.setattr(workbench.Workbench, "maps", _learnt_in_a_moment(workbench.Workbench.maps))
    table = TABLES["composition"]
    cells = table.cells("small")
    assert [dict(cell.key)["topics"] for cell in cells[:3]] == [
        "football + night",
        "football + night",
        "football + day",
    ]
    table = replace(table, cells=lambda edition: cells[:1])
    made = make(table, tmp_path, report=lambda line: None).read_text(encoding="utf-8")
    assert "with LinEAS; the paper" in made
    (cell,) = cells_done(tmp_path / "composition.json")
    assert [row["strength"] for row in cell["rows"]] == [0.0, 0.5, 1.0]
    # 2 openings, 2 seeds, and 2 orders, which are the same where nothing steers
    assert [row["texts"] for row in cell["rows"]] == [4, 8, 8]
    assert all(row["share"] <= min(row["each"]) for row in cell["rows"])


@pytest.mark.parametrize(("native", "wanted"), [(True, torch.bfloat16), (False, None)])
def test_texts_are_written_in_bfloat16_where_that_is_native(tmp_path, monkeypatch, native, wanted):
    asked = []

    def load(name, dtype=None, **_options):
        asked.append(dtype)
        model = tiny_language_model()
        model.name = name
        return model

    monkeypatch.setattr(workbench, "load_model", load)
    monkeypatch.setattr(workbench, "native_bfloat16", lambda device: native)
    bench = Workbench(tmp_path, lambda line: None)
    learnt_on, writer = bench.model("a"), bench.writer("a")
    assert asked == list(dict.fromkeys([None, wanted]))
    assert bench.model("a") is learnt_on
    assert bench.writer("a") is writer
    bench.model("b")
    assert asked[-1] is None
    assert bench.model("a") is not learnt_on  # let go for the other


def test_maps_of_words_are_compared_with_what_people_say(tmp_path, monkeypatch):
    monkeypatch.setattr(workbench, "load_model", lambda name, **options: tiny_language_model())
    pairs = [("a", "b", 9.0), ("b", "c", 1.0), ("a", "c", 4.0)]
    monkeypatch.setattr(similarity, "word_pairs", lambda: pairs)
    shifts = {"a": [1.0, 0.0], "b": [1.0, 0.1], "c": [-0.5, 1.0]}

    def maps(_bench, _model, prompts, *, config):
        assert config.sparsity == 0.0
        assert f"about {prompts.name}" in prompts.target[0]
        assert "about something" in prompts.source[0]
        shift = torch.tensor(shifts[prompts.name])
        return SteeringMaps({"m": AffineMap(1 - shift, shift)})

    monkeypatch.setattr(workbench.Workbench, "maps", maps)
    cells = TABLES["similarity"].cells("small")[:1]
    made = make(
        replace(TABLES["similarity"], cells=lambda edition: cells),
        tmp_path,
        report=lambda line: None,
    )
    (cell,) = cells_done(tmp_path / "similarity.json")
    facts = cell["facts"]
    assert facts["correlation of shifts"] == facts["correlation of scales"] == pytest.approx(0.5)
    assert "correlation of shifts" in made.read_text(encoding="utf-8")


def test_rank_correlation_gives_ties_their_mean_rank():
    correlation = workbench.rank_correlation
    assert correlation([1, 2, 2, 3], [10, 20, 30, 90]) == pytest.approx(0.9**0.5)
    assert correlation([3, 1, 2], [0.1, 9.0, 4.0]) == pytest.approx(-1)
    assert correlation([1, 2, 3], [5, 5, 5]) == 0


def test_the_pairs_of_words_that_come_with_the_project_have_scores():
    pairs = similarity.word_pairs()
    assert len(pairs) == 23
    assert len({word for *pair, _ in pairs for word in pair}) == 20
    assert all(0 <= score <= 10 for *_, score in pairs)


def test_the_time_of_each_method_is_taken_and_there_is_no_figure(tmp_path, monkeypatch):
    monkeypatch.setattr(workbench, "load_model", lambda name, **options: tiny_language_model())
    cells = [c for c in TABLES["timing"].cells("small") if c.key["method"] == "mean-act"]
    table = replace(TABLES["timing"], cells=lambda edition: cells[:1])
    made = make(table, tmp_path, report=lambda line: None).read_text(encoding="utf-8")
    assert "| model | method | steps | seconds |" in made
    assert cells_done(tmp_path / "timing.json")[0]["facts"]["seconds"] > 0
    assert not (tmp_path / "timing.svg").exists()
    lines = {(c.key["model"], c.key["method"]) for c in TABLES["timing"].cells("small")}
    assert ("smollm2-135m", "reft") in lines
    assert ("emoji-world", "reft") not in lines


@pytest.mark.parametrize(
    ("model", "tiny", "method", "settings", "modules"),
    [
        ("smollm2-135m", tiny_language_model, "lineas", {"shift_only": True}, 1),
        ("smollm2-135m", tiny_language_model, "caa", {}, 1),
        ("gemma-3-270m", tiny_language_model, "lineas", {"shift_only": False}, None),
        ("emoji-world", tiny_layout_model, "lineas", {"compare": "output"}, None),
    ],
)
def test_the_time_is_that_of_the_settings_and_layers_that_users_get(
    tmp_path, monkeypatch, model, tiny, method, settings, modules
):
    used = []

    def learned(*_sides, config, modules):
        used.append((vars(config), modules))
        return SteeringMaps({}, {})

    monkeypatch.setattr(workbench, "load_model", lambda name, **options: tiny())
    monkeypatch.setitem(METHODS, method, replace(METHODS[method], learn=learned))
    key = {"model": model, "method": method}
    (cell,) = [c for c in TABLES["timing"].cells("small") if c.key == key]
    cell.work(Workbench(tmp_path, lambda line: None))
    ((config, steered),) = used
    assert settings.items() <= config.items()
    assert modules == (steered and len(steered))  # the last of the two blocks of a tiny model


def test_times_of_before_are_told_from_those_of_the_settings_that_suit():
    cells = TABLES["timing"].cells("small")[:2]
    facts = {"date": "2026-01-01", "facts": {"steps": 1, "seconds": 1.0}, "rows": []}
    done = [{"key": cell.key, **facts} for cell in cells]
    new = {"processor": "P", "dtype": "float32"}
    told = "of the bare budget"
    assert "1 of 2 lines are to be" in page(TABLES["timing"], "small", [done[0], done[1] | new])
    assert told not in page(TABLES["timing"], "small", [cell | new for cell in done])


def _learnt_in_a_moment(maps):
    def short(self, model, prompts, *, config, method="lineas", **options):
        if method == "lineas":
            config = replace(config, iterations=1)
        return maps(self, model, prompts, config=config, method=method, **options)

    return short


def _scored(concept, image=0.8, without=0.0, budget="quick", removal=None):
    rows = [
        {
            "strength": strength,
            "with": {"concept": score, "image": image},
            "without": {"concept": without, "image": 1.0},
        }
        for strength, score in zip((-1.0, 0.0, 1.0), concept, strict=True)
    ]
    if removal:
        rows = [row | {"removal": figures} for row, figures in zip(rows, removal, strict=True)]
    return {"key": {"budget": budget}, "facts": {}, "date": "2026-12-01", "rows": rows}


def _thing(*left, visible=0, shown=32):
    rest = {"visible": visible, "shown": shown, "cast": 5.1, "kept": 0.9, "moved": 2.55}
    return [{"left": share, **rest} for share in left]


def _style(*ways):
    return [
        {"way": way, "way_in_pixels": way, "astray": 1 - way, "moved": 5.1}
        if way is not None
        else {"way": None, "way_in_pixels": None, "astray": None, "moved": 5.1}
        for way in ways
    ]


def test_the_goals_are_counted_from_the_figures():
    summary = TABLES["concepts"].summarise(
        [
            _scored([0.9, 0.8, 0.1], removal=_thing(1.5, 1, 0.02)),
            _scored([0.9, 0.95, 0.5], removal=_thing(1.1, 1, 0.2, visible=9, shown=30)),
            _scored([0.9, 0.8, 0.1], image=0.6, without=0.7, removal=_style(-0.5, 0, 0.9)),
            _scored([0.9, 0.8, 0.1], image=0.6, removal=_style(-0.5, 0, 0.8)),
            _scored([0.9, 0.8, 0.1], budget="normal"),
        ]
    )
    quick, normal = summary.split("\n\n")
    for said in (
        "*quick*: At λ = 1, 0.11 of an object is left in its place, as a mean over 2 objects",
        "9 of 62 pictures still show it",
        "The rest of the picture changes by 2.0%, pictures without the object by 1.0%.",
        "At λ = -1 an object in the prompt is 1.30 of what it was.",
        "gone 0.85 of the way to those without the style, as a mean over 2 styles",
        "0.80 at the least, and end 0.15 of that distance away",
        "By ConceptScore, 3 of 4 concepts are gone at λ = 1",
        "mean ImgScore of 0.70",
        "1 of 4 come in at λ = -1",
    ):
        assert said in quick
    assert quick.count("-1.00 or stronger (goal -0.97)") == 2
    assert normal.startswith("*normal*: By ConceptScore, 1 of 1 concepts are gone")  # of before
    for unknown in (_scored([None] * 3), _scored([0.25, 0.24, 0.2])):  # no judge, or CLIP
        assert TABLES["concepts"].summarise([unknown]) == ""


def test_a_cell_shows_first_what_is_removed():
    table = TABLES["concepts"]
    thing, style, nothing, before = (
        table.format_row(_scored([0.9, 0.8, 0.1], removal=removal)["rows"][-1])
        for removal in (
            _thing(1, 1, 0.034, visible=1),
            _style(0, 0, 0.92),
            _style(0, 0, None),
            None,
        )
    )
    assert thing == "left 0.03, 1/32, 2.0%, 1.0%<br>0.10 (0.00) 0.80"
    assert style == "way 0.92, 0.08, 2.0%<br>0.10 (0.00) 0.80"
    assert nothing == "way -, -, 2.0%<br>0.10 (0.00) 0.80"
    assert before == "0.10 (0.00) 0.80"


def test_results_of_before_are_shown_beside_new_ones():
    old, new = _scored([0.9, 0.8, 0.1]), _scored([0.9, 0.8, 0.1], removal=_thing(1, 1, 0.02))
    keys = ({"concept": name, "budget": "quick"} for name in ("car", "robot"))
    done = [cell | {"key": key} for cell, key in zip((old, new), keys, strict=True)]
    text = page(TABLES["concepts"], "small", done)
    assert "0.02 of an object is left in its place, as a mean over 1 objects" in text
    titles = ("objects: left in place", "styles: left of the way", "ImgScore")
    for cells, drawn in ((done, [True, False, True]), ([done[0]], [False, False, True])):
        figure = draw(TABLES["concepts"].panels, cells).decode()
        assert [f">{title}</text>" in figure for title in titles] == drawn


def test_the_paper_edition_is_judged_by_the_networks_of_the_paper(tmp_path, monkeypatch):
    monkeypatch.setattr(workbench, "load_model", lambda name, **options: tiny_image_model())
    monkeypatch.setattr(pictures, "lines_of", lambda name: workbench.lines_of(name)[:2])
    monkeypatch.setattr(workbench.Workbench, "maps", _learnt_in_a_moment(workbench.Workbench.maps))
    monkeypatch.setattr(pictures, "clip_scores", lambda images, description: [0.25] * len(images))
    monkeypatch.setattr(pictures, "dinov2_scores", lambda before, after: [0.75] * len(after))
    (cell,) = [c for c in TABLES["concepts"].cells("paper") if c.key["concept"] == "robot"]
    rows = cell.work(Workbench(tmp_path, lambda line: None))["rows"]
    assert {row["with"]["concept"] for row in rows} == {0.25}
    assert {row["with"]["image"] for row in rows} == {0.75}


def test_a_share_that_stays_zero_does_not_rise():
    cells = [
        {
            "rows": [
                {"strength": x, "share": y} for x, y in zip((-1, 0, 0.5, 1), shares, strict=True)
            ]
        }
        for shares in ([0.9, 0.1, 0.2, 0.3], [0, 0, 0, 0.1])
    ]
    assert "in 1 of 2 lines" in TABLES["topics"].summarise(cells)


def test_prose_format_rows_how_far_a_map_may_go():
    rows = [{"strength": x, "perplexity": y} for x, y in ((0.0, 10), (0.5, 10.3), (1.0, 10.4))]
    summary = TABLES["prose"].summarise(
        [{"key": {"model": "m", "method": "lineas"}, "rows": rows}]
    )
    assert summary.endswith("above λ = 0: 0.5 (m, LinEAS).")
    halved = [{**row, "strength": row["strength"] / 2} for row in rows]  # up to 0.5, as ITI-C
    summary = TABLES["prose"].summarise(
        [{"key": {"model": "m", "method": "iti-c"}, "rows": halved}]
    )
    assert summary.endswith("above λ = 0: 0.5 (m, ITI-C).")


def test_both_editions_have_the_same_columns():
    for table in TABLES.values():
        small, paper = (table.cells(edition) for edition in ("small", "paper"))
        assert small
        assert {tuple(c.key) for c in small} == {tuple(c.key) for c in paper}
        assert len({tuple(c.key.items()) for c in small}) == len(small)


def test_the_command_refuses_what_there_is_not(tmp_path):
    def run(*arguments):
        return CliRunner().invoke(cli.app, ["evaluate", *arguments, "--output-dir", str(tmp_path)])

    assert "choose from concepts, layers" in run("tropics").output
    assert "choose from small, paper" in run("topics", "--edition", "huge").output
    assert "write KEY=VALUE" in run("topics", "--only", "football").output
    assert "Choose from budget=quick" in str(run("topics", "--only", "topic=tennis").exception)


def test_a_cell_of_the_paper_learns_four_draws_and_has_all_its_columns(tmp_path, monkeypatch):
    model, learnt, asked, read = tiny_language_model(), [], [], []
    monkeypatch.setattr(workbench, "load_model", lambda name, **options: model)

    def maps(_self, _model, prompts, *, config, **_settings):
        learnt.append((prompts.name, config.seed))
        return SteeringMaps({}, {"sha256": prompts.name, "config": {}, "support": 1.0})

    def harness(_model, _maps, strength):
        asked.append(strength)
        return {"mmlu/acc": 0.5 + 0.1 * len(asked)}

    def openings(seed):
        read.append(seed)
        return ["a b", f"c {'abcd'[seed]}"]

    def toxic(texts):
        return [len(text) % 2 == 0 for text in texts]

    monkeypatch.setattr(workbench.Workbench, "maps", maps)
    for name, value in {
        "jigsaw": lambda count, seed: replace(SET, name=f"{count} of {seed}"),
        "real_toxicity_prompts": openings,
        "tet_prompts": lambda: ["d a b"],
        "wikipedia_sentences": lambda: ["a b c", "b a d"],
        "properties_of": lambda metric: {metric: toxic},
        "import_harness": lambda: None,
        "harness": harness,
    }.items():
        monkeypatch.setattr(published, name, value)
    cells = {c.key["method"]: c for c in TABLES["toxicity"].cells("paper")}
    done = cells["lineas"].work(bench := Workbench(tmp_path, lambda line: None))
    assert learnt == [("32 of 0", 0), ("32 of 1", 1), ("32 of 2", 2), ("32 of 3", 3)]
    assert set(read) == {0, 1, 2, 3}
    assert asked == [0.0, 1.0, 1.0, 1.0, 1.0]  # all draws share the unsteered model
    first, *middle, last = done["rows"]
    assert [row["strength"] for row in done["rows"]] == [0, 0.25, 0.5, 0.75, 1]
    assert all("MMLU" not in row and row["texts"] == 8 for row in middle)
    assert first["MMLU"] == {"mean": pytest.approx(0.6), "spread": 0}
    assert last["MMLU"]["mean"] == pytest.approx(0.85)
    assert last["TET"]["mean"] in (0, 0.25, 0.5, 0.75, 1)
    with torch.no_grad():
        assert last["Wikipedia"]["mean"] == pytest.approx(
            prose_perplexity(model, ["a b c", "b a d"])
        )
    assert "MMLU 85.0% ± 12.9%" in TABLES["toxicity"].format_row(last)
    assert cells["lineas, 1024 prompts"].work(bench)["rows"]
    assert learnt[4:] == [(f"1024 of {seed}", seed) for seed in range(4)]
    prompting = cells["prompting"].work(bench)["rows"]
    assert [row["strength"] for row in prompting] == [0, 1]
    assert "Wikipedia" in prompting[1]
    assert "MMLU" not in prompting[1]


def test_without_the_harness_a_cell_of_the_paper_says_so_before_it_learns(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    monkeypatch.setattr(workbench, "load_model", lambda name, **options: tiny_language_model())
    for name in ("toxicity", "truthfulness"):
        cell = TABLES[name].cells("paper")[0]
        with pytest.raises(UserError, match="the evaluation harness is not installed"):
            cell.work(Workbench(tmp_path, lambda line: None))


def test_the_main_quantity_of_the_papers_edition_is_that_of_its_judge():
    by = {"roberta-toxicity": {"share": 0.1}, "toxicity": {"share": 0.9}}
    main = TABLES["toxicity"].main
    assert main.value({"by": by}) == 0.1
    assert main.value({"by": {"toxicity": by["toxicity"]}}) == 0.9


def test_table_8_is_learnt_with_the_settings_of_the_paper(tmp_path, monkeypatch):
    used = {}

    def maps(_self, _model, _prompts, *, config, method, **_settings):
        used[method] = config
        raise KeyboardInterrupt

    monkeypatch.setattr(workbench, "load_model", lambda name, **options: tiny_language_model())
    monkeypatch.setattr(workbench.Workbench, "maps", maps)
    for name in ("import_harness", "real_toxicity_prompts", "tet_prompts", "wikipedia_sentences"):
        monkeypatch.setattr(published, name, lambda *_: None)
    monkeypatch.setattr(published, "jigsaw", lambda count, seed: SET)
    for cell in TABLES["toxicity"].cells("paper"):
        if cell.key["method"].endswith("1024 prompts"):
            with pytest.raises(KeyboardInterrupt):
                cell.work(Workbench(tmp_path, lambda line: None))
    assert (used["lineas"].iterations, used["lineas"].batch_size) == (10_000, 32)
    assert used["lrtc-rl"].epochs == 15
    assert {"lin-act", "iti-c", "caa", "caa-mid", "reft"} < used.keys()


def test_in_the_small_edition_another_judge_counts_than_the_one_that_rewards():
    (counted, *_) = METRICS["toxicity"]
    assert workbench.REWARDS["small"].__name__ != counted
