import json

import pytest

from lineas_core.models.vocabulary import known_words, unknown_words

LIST = "# subjects\nrobot\ncherry tree\n\n# scenes\nat sunset\n"
TOKENS = {"a</w>": 0, "two</w>": 1, "under</w>": 2, "beside</w>": 3, "the</w>": 4, "dode": 5}


@pytest.fixture
def model(tmp_path):
    (tmp_path / "words.txt").write_text(LIST, encoding="utf-8")
    (tmp_path / "tokenizer_2").mkdir()
    tokenizer = {"model": {"type": "BPE", "vocab": TOKENS}}
    (tmp_path / "tokenizer_2" / "tokenizer.json").write_text(json.dumps(tokenizer))
    return tmp_path


def test_words_stand_under_their_headings(model):
    assert known_words(model) == {"subjects": ("robot", "cherry tree"), "scenes": ("at sunset",)}


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\xff"])
def test_a_model_without_a_readable_list_knows_nothing_in_particular(tmp_path, content):
    if content is not None:
        (tmp_path / "words.txt").write_bytes(content)
    assert known_words(tmp_path) == {}
    assert unknown_words("a dodecahedron", tmp_path) == {}


@pytest.mark.parametrize(
    ("prompt", "unknown"),
    [
        ("A robot at sunset", {}),
        ("Two ROBOTS, under a cherry tree.", {}),
        ("A dodecahedron beside the tree, a dodecahedron!", {"dodecahedron": ""}),
        ("a robat under a chery tree", {"robat": "robot", "chery": "cherry"}),
        ("робот 7", {"робот": ""}),
    ],
)
def test_words_that_are_not_known_are_told_once_with_the_nearest_known_one(model, prompt, unknown):
    assert unknown_words(prompt, model) == unknown
