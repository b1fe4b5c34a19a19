import pytest

from lineas_core.prompts.matching import are_matched, describe_matching

SCENES = ("A fox in the snow", "A quiet lake, soft light", "An owl at night")


def test_a_scene_with_words_added_is_a_pair_in_both_directions():
    added = (
        "A fox and a car in the snow",
        "low-poly, a quiet lake, soft light",
        "an OWL at night!?, x",
    )
    assert are_matched(added, SCENES)
    assert are_matched(SCENES, added)


@pytest.mark.parametrize(
    "other",
    [
        SCENES[::-1],  # other lines
        SCENES[:2],  # another size
        SCENES,  # nothing is added
        ("A fox in the rain, with a car", *SCENES[1:]),  # another word
        ("In the snow a fox, with a car", *SCENES[1:]),  # another order
        ("", *SCENES[1:]),
        ("...", *SCENES[1:]),
    ],
)
def test_anything_else_is_no_pair(other):
    assert not are_matched(other, SCENES)


def test_a_word_that_is_part_of_another_is_not_the_same():
    assert not are_matched(["A carpet", "An owl"], ["A car", "An"])


def test_nothing_is_not_matched():
    assert not are_matched([], [])


def test_the_pairs_that_are_none_are_counted_and_the_first_of_them_named():
    source = [f"{scene}, with a car" for scene in SCENES * 2]
    told = describe_matching(source, [*SCENES, "A fox", "A pond", "An owl"])
    assert told.endswith("More than added words differ in 1 of 6 pairs (line 5).")
    told = describe_matching(source[::-1], [*SCENES, *SCENES[1:], "A fox"])
    assert told.endswith("differ in 4 of 6 pairs (line 1, 3, 4, ...).")
    assert describe_matching(source[1:], SCENES).endswith("with and without the concept.")
    assert "are matched" in describe_matching(source[:3], SCENES)
