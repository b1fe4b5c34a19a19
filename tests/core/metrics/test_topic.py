import pytest

from lineas_core.metrics.topic import mentions


@pytest.mark.parametrize(
    ("keyword", "found", "missed"),
    [
        ("ball", "Two Balls, one goal", "a football"),
        ("كرة", "لعب كرة القدم", "مذكرة طويلة"),  # Arabic: ball; a memorandum
        ("עץ", "יש עץ בגן", "מקצועץ"),  # Hebrew: tree; at the end of another word
        ("फल", "यह फलों का रस है", "वह सफल हुआ"),  # Hindi: fruit; successful
        ("रत", "रत है", "भारत मेरा देश है"),  # a vowel sign stands before it
        ("夜", "在夜里下雨", "在白天下雨"),  # Chinese has no spaces: anywhere
        ("ฝน", "วันนี้ฝนตก", "วันนี้แดดออก"),  # nor has Thai
    ],
)
def test_a_keyword_is_found_at_the_start_of_a_word(keyword, found, missed):
    assert mentions([found, missed], [keyword]) == [True, False]


def test_without_keywords_nothing_is_found():
    assert mentions(["anything"], []) == mentions(["anything"], [" "]) == [False]
