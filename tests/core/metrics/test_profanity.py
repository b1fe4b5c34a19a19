from lineas_core.metrics.profanity import profanity


def test_swear_words_are_found_whoever_they_are_aimed_at():
    friendly, veiled = profanity(
        ["Holy shit, this is beautiful!", "Go back to where you came from."]
    )
    assert friendly > 0.9
    assert veiled < 0.2


def test_other_languages_are_not_judged():
    assert profanity(["Ты идиот и никто тебя не любит."]) == [None]
    assert profanity([]) == []
