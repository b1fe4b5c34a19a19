"""Real workers compute a table; one of them is killed in the middle of a cell."""

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from functools import partial

import cloudpickle
import psutil
import pytest
from typer.testing import CliRunner

from lineas_core import UserError, cli
from lineas_core.tables import TABLES, Cell, Table, cells_done
from lineas_core.tables.cluster import make_on, parse_place

KEYS = ("a", "b", "c", "d")
KILLED = "b"  # the cell whose first worker is killed


def _cells(folder, _edition):
    return [Cell({"topic": key}, partial(_work, folder, key)) for key in KEYS]


def _work(folder, key, _bench):
    """Note who works; the first one at the cell in question waits to be killed."""
    first = not (folder / f"began-{key}").exists()
    with (folder / f"began-{key}").open("a") as file:
        file.write(f"{os.getpid()}\n")
    while first and key == KILLED:
        time.sleep(0.05)  # it ends by SIGKILL
    return {"facts": {}, "rows": [{"strength": 1.0, "share": 0.5}]}


def _format(row):
    return f"{row['share']:.0%}"


def _table(folder):
    return Table("some", "Some title", "Table 0", "About.", partial(_cells, folder), _format, {})


def _kill_who_waits(folder, others):
    """Kill the worker at the cell in question once the other cells are finished or begun."""
    waiting = [folder / f"began-{key}" for key in (KILLED, *others)]
    while not all(file.exists() for file in waiting):
        time.sleep(0.05)
    pid = int(waiting[0].read_text())
    assert psutil.Process(pid).is_running()
    os.kill(pid, signal.SIGKILL)


@pytest.fixture(autouse=True)
def _functions_of_this_file_reach_the_workers():
    # They cannot import a file of tests by its name.
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    yield
    cloudpickle.unregister_pickle_by_value(module)


def test_a_killed_worker_s_cell_is_done_by_another_and_no_other_twice(tmp_path):
    others = [key for key in KEYS if key != KILLED]
    killer = threading.Thread(target=_kill_who_waits, args=(tmp_path, others))
    killer.start()
    place, said = parse_place("local:2", "small"), []
    page = make_on(place, _table(tmp_path), tmp_path / "results", report=said.append)
    killer.join()
    began = {key: (tmp_path / f"began-{key}").read_text().split() for key in KEYS}
    assert {key: len(pids) for key, pids in began.items()} == {"a": 1, "b": 2, "c": 1, "d": 1}
    assert len(set(began[KILLED])) == 2
    assert "4 of 4 lines" in page.read_text(encoding="utf-8")
    done = cells_done(tmp_path / "results" / "some.json")
    assert Counter(cell["key"]["topic"] for cell in done) == dict.fromkeys(KEYS, 1)
    assert not [*(tmp_path / "results" / "some.cells").glob("*.json")]
    assert said[0] == "4 of 4 cells are missing: 2 workers start"
    told = Counter(line for line in said if line.startswith("finished"))
    assert told == dict.fromkeys((f"finished  topic={key}" for key in KEYS), 1)
    assert said.count("a worker has ended early: it was killed") == 1


def test_workers_that_cannot_finish_a_cell_end_with_one_sentence(tmp_path):
    place = parse_place("local:1", "small")
    (tmp_path / "results").mkdir()
    table = Table("some", "Title", "Table 0", "About.", partial(_refused, "a"), _format, {})
    wanted = r"1 of 1 cells are missing after all .* ended: topic=a \(it is missing. Fetch it.\)\."
    with pytest.raises(UserError, match=wanted):
        make_on(place, table, tmp_path / "results", report=lambda line: None)


def test_workers_go_on_after_a_cell_that_fails_and_the_page_has_the_others(tmp_path):
    said = []
    table = Table("some", "Title", "Table 0", "About.", partial(_refused, "abc"), _format, {})
    with pytest.raises(UserError, match=r"1 of 3 cells are missing .*: topic=a \(it is missing"):
        make_on(parse_place("local:1", "small"), table, tmp_path, report=said.append)
    assert [line for line in said if "finished" in line] == [
        "finished  topic=b",
        "finished  topic=c",
    ]
    assert "2 of 3 lines" in (tmp_path / "some.md").read_text(encoding="utf-8")


def _refused(keys, _edition):
    def work(key, _bench):
        if key == "a":
            raise UserError("E_MODEL", "it is missing", remedy="Fetch it.")
        return {"facts": {}, "rows": [{"strength": 1.0, "share": 0.5}]}

    return [Cell({"topic": key}, partial(work, key)) for key in keys]


@pytest.mark.parametrize("name", TABLES)
def test_every_table_can_be_sent_to_a_worker(name):
    table = cloudpickle.loads(cloudpickle.dumps(TABLES[name]))
    assert [c.key for c in table.cells("small")] == [c.key for c in TABLES[name].cells("small")]


@pytest.mark.parametrize("place", ["", "local", "local:0", "local:x", "slurm:", "ray://here"])
def test_a_place_that_is_none_is_refused_with_what_is_allowed(place):
    with pytest.raises(UserError, match=r"Give local:NUMBER, such as local:4, or slurm:PART"):
        parse_place(place, "small")


def test_the_command_takes_a_place(tmp_path, monkeypatch):
    results = tmp_path / "results"
    results.mkdir()
    done = [dict(c.key) for c in TABLES["topics"].cells("small") if c.key["topic"] == "football"]
    found = {"share": 0.1, "spread": 0.0}
    row = {"strength": 0.0, "share": 0.1, "by": {"topic": found}, "perplexity": 9.0}
    cells = [{"key": key, "date": "2026-01-01", "facts": {}, "rows": [row]} for key in done]
    (results / "topics.json").write_text(json.dumps(cells))
    only = ["--only", "topic=football", "--output-dir", str(results)]
    found = CliRunner().invoke(cli.app, ["evaluate", "topics", "--on", "local:2", *only])
    assert found.exit_code == 0, found.output
    assert "topics.md" in found.stdout
    assert not (results / "topics.workers").exists()  # nothing was missing
    monkeypatch.setitem(sys.modules, "submitit", None)
    (results / "topics.json").unlink()
    found = CliRunner().invoke(cli.app, ["evaluate", "topics", "--on", "local:2", *only])
    assert isinstance(found.exception, UserError)
    assert "needs the package submitit" in str(found.exception)
