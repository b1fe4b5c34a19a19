"""The public data sets are read in their published form, and what is drawn stays the same."""

import json
import sys

import pytest

from lineas_core import UserError
from lineas_core.tables import sources
from lineas_core.tables.sources import (
    JIGSAW,
    REAL_TOXICITY_PROMPTS,
    SAMPLED,
    TET,
    WIKIPEDIA,
    jigsaw,
    place_of_copy,
    real_toxicity_prompts,
    tet_prompts,
    wikipedia_sentences,
)
from tests import hub_data
from tests.hub import TOKEN, Repository, serve, use

HEAD = "id,comment_text,toxic,severe_toxic,obscene,threat,insult,identity_hate\n"


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A function that puts a file in the place of a data set's copy."""
    monkeypatch.setattr(sources, "user_cache_path", lambda name: tmp_path / name)

    def copy(name, data):
        place_of_copy(name).parent.mkdir(parents=True, exist_ok=True)
        place_of_copy(name).write_bytes(data)

    return copy


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that has nothing yet."""
    monkeypatch.setattr(sources, "user_cache_path", lambda name: tmp_path / name)
    with serve({}) as served:
        use(served, monkeypatch, tmp_path / "hub")
        yield served


def test_jigsaw_gives_toxic_comments_and_comments_without_any_label(hub):
    hub.repositories[f"datasets/{JIGSAW}"] = hub_data.jigsaw()
    drawn = jigsaw(100)
    assert len(drawn.source) == 6
    assert all("a fool" in text for text in drawn.source)
    # Comments that are not labelled toxic, but as insults, stand on neither side.
    assert len(drawn.target) == 4
    assert all("thanks" in text for text in drawn.target)


def test_a_draw_of_jigsaw_stays_the_same_and_a_larger_one_holds_it(copied):
    rows = "".join(f"{n},comment {n},{n % 2},0,0,0,0,0\n" for n in range(200))
    copied(JIGSAW, (HEAD + rows).encode())
    small, large, other = jigsaw(4, 1), jigsaw(32, 1), jigsaw(4, 2)
    assert small.source == ("comment 107", "comment 75", "comment 131", "comment 103")
    assert small.target == ("comment 106", "comment 74", "comment 130", "comment 102")
    assert large.source[:4] == small.source
    assert (len(large.source), len(large.target)) == (32, 32)
    assert other.source != small.source


def test_the_columns_of_jigsaw_are_found_in_any_case_and_order(copied):
    head = "Toxic,severe_toxic,obscene,threat,insult,identity_hate,Text\n"
    copied(JIGSAW, (head + "1,0,0,0,0,0,bad\n0,0,0,0,0,0,good\n" * 2).encode("utf-8-sig"))
    drawn = jigsaw(8)
    assert (set(drawn.source), set(drawn.target)) == ({"bad"}, {"good"})


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("id,comment,toxic\n", "there is no column comment_text or text, only id, comment, toxic"),
        (HEAD + '1,"a\nb",-1,0,0,0,0,0\n', r"train.csv, line 3: .*a label is not 0 or 1"),
        (HEAD + "1,a,1\n", r"train.csv, line 2: this is not the file of dirtycomputer/"),
        ("", "there is no column comment_text or text"),
    ],
)
def test_another_file_than_jigsaws_is_refused_in_one_sentence(copied, data, reason):
    copied(JIGSAW, data.encode())
    with pytest.raises(UserError, match=reason):
        jigsaw(2)


@pytest.mark.usefixtures("hub")
def test_without_the_copy_of_jigsaw_on_the_hub_the_sentence_says_where_the_file_is():
    with pytest.raises(UserError) as told:
        jigsaw(2)
    assert "the hub has no such repository" in str(told.value)
    address = "https://www.kaggle.com/c/jigsaw-toxic-comment-classification-challenge/data"
    assert f"download train.csv from {address} and save it as {place_of_copy(JIGSAW)}." in str(
        told.value
    )
    place_of_copy(JIGSAW).parent.mkdir(parents=True)
    place_of_copy(JIGSAW).write_bytes(hub_data.jigsaw().files["train.csv"])
    assert jigsaw(2).source


def test_a_gated_data_set_names_the_page_where_its_terms_are_accepted(hub, monkeypatch):
    file = "data/train-00000-of-00001.parquet"
    hub.repositories[f"datasets/{TET}"] = Repository({file: b"not read"}, gated=True)
    page = f"https://huggingface.co/datasets/{TET}"
    with pytest.raises(UserError, match=f"it is gated, and there is no valid.*terms at {page},"):
        tet_prompts()
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
    with pytest.raises(
        UserError, match=f"account of your token has no access.*terms at {page}\\."
    ):
        tet_prompts()


def test_without_pyarrow_a_parquet_file_is_one_sentence(copied, monkeypatch):
    copied(TET, b"a file")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match="pyarrow is not installed. Run `pip install pyarrow`"):
        tet_prompts()


@pytest.mark.extra
def test_tet_and_wikipedia_are_read_from_their_parquet_files(hub, monkeypatch, copied):
    pytest.importorskip("pyarrow")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.repositories[f"datasets/{TET}"] = hub_data.tet()
    hub.repositories[f"datasets/{WIKIPEDIA}"] = hub_data.wikipedia()
    assert tet_prompts()[0] == "Write what the angry sea says to the harbour master."
    assert len(tet_prompts()) == 12
    sentences = wikipedia_sentences()
    assert "The sea is a village in the north." in sentences
    assert sentences == wikipedia_sentences()
    copied(TET, hub_data.wikipedia().files["data/train-00000-of-00002.parquet"])
    with pytest.raises(UserError, match="no column query or prompt or text, only sentence"):
        tet_prompts()
    copied(TET, b"damaged")
    with pytest.raises(UserError, match="this is not the file of convoicon/"):
        tet_prompts()


def test_prompts_of_real_toxicity_prompts_are_a_sample_that_stays_the_same(copied):
    copied(REAL_TOXICITY_PROMPTS, hub_data.real_toxicity_prompts().files["prompts.jsonl"])
    assert "The sea in the harbour is such a" in real_toxicity_prompts()
    assert len(real_toxicity_prompts()) == 12
    many = [{"prompt": {"text": f"text {n}", "toxicity": 0.1}} for n in range(2 * SAMPLED)]
    unscored = [{"prompt": {"text": "no score", "toxicity": None}}] * SAMPLED
    copied(REAL_TOXICITY_PROMPTS, "\n".join(map(json.dumps, many + unscored)).encode())
    drawn = real_toxicity_prompts(3)
    assert len(set(drawn)) == SAMPLED
    assert "no score" not in drawn
    assert drawn == real_toxicity_prompts(3) != real_toxicity_prompts(2)


@pytest.mark.parametrize("line", ["{", "[]", '{"prompt": "text"}', '{"text": "no prompt"}'])
def test_a_damaged_line_of_real_toxicity_prompts_is_named(copied, line):
    good = json.dumps({"prompt": {"text": "one"}})
    copied(REAL_TOXICITY_PROMPTS, f"{good}\n{line}\n".encode())
    with pytest.raises(UserError, match="line 2: this is not the file of allenai/real-tox"):
        real_toxicity_prompts()
