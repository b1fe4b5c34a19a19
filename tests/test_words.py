import pytest

from app.words import known_words, unknown_words

LIST = "# subjects\nrobot\ncherry tree\n\n# scenes\nat sunset\n"


@pytest.fixture
def known(tmp_path):
    (tmp_path / "words.txt").write_text(LIST, encoding="utf-8")
    return known_words(tmp_path)


def test_words_stand_under_their_headings(known):
    assert known == {"subjects": ("robot", "cherry tree"), "scenes": ("at sunset",)}


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\xff"])
def test_a_model_without_a_readable_list_knows_nothing_in_particular(tmp_path, content):
    if content is not None:
        (tmp_path / "words.txt").write_bytes(content)
    assert known_words(tmp_path) == {}
    assert unknown_words("a dodecahedron", {}) == ()


@pytest.mark.parametrize(
    ("prompt", "unknown"),
    [
        ("A robot at sunset", ()),
        ("Two ROBOTS, under a cherry tree.", ()),
        ("A dodecahedron beside the tree, a dodecahedron!", ("dodecahedron",)),
        ("робот 7", ("робот",)),
    ],
)
def test_words_that_are_not_listed_are_told_once(known, prompt, unknown):
    assert unknown_words(prompt, known) == unknown
