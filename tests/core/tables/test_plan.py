import json
import re

import pytest
from typer.testing import CliRunner

from lineas_core import UserError, cli
from lineas_core.tables import EDITIONS, TABLES
from lineas_core.tables.openings import SAMPLED, real_toxicity_prompts
from lineas_core.tables.plan import plan
from tests.hub_data import real_toxicity_prompts as published


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
    assert "allenai/real-toxicity-prompts (Apache-2.0" in text
    pictures = plan(TABLES["concepts"], "paper", {})
    assert "stable-diffusion-xl-base-1.0 with tianweiy/DMD2 (CC-BY-NC-4.0)" in pictures


def test_what_is_left_out_needs_no_model_and_no_time():
    whole = plan(TABLES["prose"], "paper", {})
    part = plan(TABLES["prose"], "paper", {"model": {"Qwen/Qwen2.5-1.5B"}})
    assert "gemma" in whole
    assert "gemma" not in part
    assert "Download: 3.1 GB" in part
    assert 0 < _hours(part) < _hours(whole)
    with pytest.raises(UserError, match="nothing with model=x"):
        plan(TABLES["prose"], "paper", {"model": {"x"}})


def test_one_lineas_map_of_dmd2_takes_the_half_hour_of_the_paper():
    only = {"concept": {"robot"}, "layers": {"all-norms"}}
    assert _hours(plan(TABLES["layers"], "paper", only)) == pytest.approx(0.5, abs=0.05)


def test_the_command_prints_the_plan_and_computes_nothing(tmp_path):
    arguments = ["evaluate", "topics", "--plan", "--edition", "paper"]
    result = CliRunner().invoke(cli.app, [*arguments, "--output-dir", str(tmp_path / "results")])
    assert result.exit_code == 0
    assert "Qwen/Qwen2.5-1.5B (Apache-2.0)" in result.stdout
    assert not (tmp_path / "results").exists()


def test_prompts_of_real_toxicity_prompts_are_a_sample_that_stays_the_same(tmp_path):
    file = tmp_path / "prompts.jsonl"
    file.write_bytes(published().files["prompts.jsonl"])
    texts = real_toxicity_prompts(file)
    assert "The sea in the harbour is such a" in texts
    assert len(texts) == 12
    many = [json.dumps({"prompt": {"text": f"text {n}"}}) for n in range(2 * SAMPLED)]
    file.write_text("\n".join(many))
    assert len(set(real_toxicity_prompts(file))) == SAMPLED
    assert real_toxicity_prompts(file) == real_toxicity_prompts(file)


@pytest.mark.parametrize("line", ["{", "[]", '{"prompt": "text"}', '{"text": "no prompt"}'])
def test_a_damaged_line_of_real_toxicity_prompts_is_named(tmp_path, line):
    file = tmp_path / "prompts.jsonl"
    file.write_text(json.dumps({"prompt": {"text": "one"}}) + f"\n{line}\n")
    with pytest.raises(UserError, match="line 2: this is not a line of RealToxicityPrompts"):
        real_toxicity_prompts(file)
