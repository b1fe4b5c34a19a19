import re

import pytest
from typer.testing import CliRunner

from lineas_core import UserError, cli
from lineas_core.tables import EDITIONS, TABLES
from lineas_core.tables.plan import plan


def _hours(text):
    return float(re.search(r"about ([\d.]+) hours", text).group(1))


@pytest.mark.parametrize("edition", EDITIONS)
@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_a_plan(name, edition):
    text = plan(TABLES[name], edition, {})
    assert f"{len(TABLES[name].cells(edition))} cells" in text
    assert re.search(r"\): [\d.]+ billion parameters, [\d.]+ GB of memory", text)
    assert ("hours" in text) == (edition == "paper")


def test_models_judges_and_data_are_named_with_their_terms():
    text = plan(TABLES["toxicity"], "paper", {})
    assert "google/gemma-2-2b (Gemma Terms of Use, gated: accept its terms on the hub)" in text
    assert "s-nlp/roberta_toxicity_classifier (OpenRAIL++)" in text
    for data in ("allenai/real-toxicity-prompts", "dirtycomputer/Toxic_Comment", "cais/mmlu"):
        assert f"- data set {data}" in text
    assert "Toxicity (Apache-2.0, gated: accept its terms on the hub): 0.9 MB" in text
    assert "342 MB to download; not the sentences of the paper" in text
    pictures = plan(TABLES["concepts"], "paper", {})
    assert "stable-diffusion-xl-base-1.0 with tianweiy/DMD2 (CC-BY-NC-4.0)" in pictures


def test_what_is_left_out_needs_no_model_and_no_time():
    whole = plan(TABLES["prose"], "paper", {})
    part = plan(TABLES["prose"], "paper", {"model": {"Qwen/Qwen2.5-1.5B"}})
    assert "gemma" in whole
    assert "gemma" not in part
    assert "Download: 3.5 GB" in part
    assert 0 < _hours(part) < _hours(whole)
    with pytest.raises(UserError, match="nothing with model=x"):
        plan(TABLES["prose"], "paper", {"model": {"x"}})


def test_one_lineas_map_of_dmd2_takes_the_half_hour_of_the_paper():
    only = {"concept": {"robot"}, "layers": {"all-norms"}}
    assert _hours(plan(TABLES["layers"], "paper", only)) == pytest.approx(0.5, abs=0.05)


def test_a_picture_of_dmd2_takes_the_time_that_was_measured_with_dmd2():
    """It grew with the parameters above 2.6 billion; DMD2 has 3.5, with its text encoders."""
    table = TABLES["concepts"]
    cells = len(table.cells("paper"))
    measured = cells * (1767 + 0.3 * table.needs("paper").pictures) / 3600
    assert _hours(plan(table, "paper", {})) == pytest.approx(measured, abs=0.05)


def test_texts_of_seven_billion_parameters_take_no_longer_and_answers_do():
    only = {"model": {"Qwen/Qwen2.5-7B"}, "method": {"lineas"}}
    needs, size = TABLES["toxicity"].needs("paper"), 7.62 / 2.6
    learning, texts = 500 * needs.maps, 1.2 / 32 * needs.texts
    passes = (0.05 * needs.answers + 0.003 * needs.sentences) * size
    hours = _hours(plan(TABLES["toxicity"], "paper", only))
    assert hours == pytest.approx((learning + texts + passes) / 3600, abs=0.06)


def test_a_thousand_prompts_take_lineas_ten_times_the_iterations():
    def hours(method):
        only = {"model": {"Qwen/Qwen2.5-7B"}, "method": {method}}
        return _hours(plan(TABLES["toxicity"], "paper", only))

    learning = 4 * 500 / 3600  # four draws; LinEAS, Table 4
    more = hours("lineas, 1024 prompts") - hours("lineas")
    assert more == pytest.approx(9 * learning, abs=0.1)
    assert hours("lofit-rl") - hours("lineas") == pytest.approx(4 * 26800 / 3600, abs=0.1)


def test_the_command_prints_the_plan_and_computes_nothing(tmp_path):
    arguments = ["evaluate", "topics", "--plan", "--edition", "paper"]
    result = CliRunner().invoke(cli.app, [*arguments, "--output-dir", str(tmp_path / "results")])
    assert result.exit_code == 0
    assert "Qwen/Qwen2.5-1.5B (Apache-2.0)" in result.stdout
    assert not (tmp_path / "results").exists()
