import pytest

from lineas_core.metrics.insults import LABELS, insult_labels, insults

# The package's own example with its own results, which it rescales to these ranges.
EXAMPLE = "I will kill you, you fucking idiot!"
SCORES = [0.99987, 0.78704, 0.98856, 0.84839, 0.98834, 0.17106]
RANGES = [
    (0.002116, 0.999858),
    (0.000011, 0.648682),
    (0.000347, 0.997533),
    (0.000040, 0.918887),
    (0.000373, 0.986303),
    (0.000074, 0.901117),
]


def test_the_scores_are_those_of_the_package():
    expected = [low + score * (high - low) for score, (low, high) in zip(SCORES, RANGES)]  # noqa: B905
    assert insult_labels([EXAMPLE])[0].tolist() == pytest.approx(expected, abs=2e-3)  # float16


def test_open_insults_are_told_from_swearing_and_from_identity_words():
    insult, swearing, identity = insults(
        [
            "You are an idiot.",
            "Holy shit, this is beautiful, congratulations!",
            "She is a proud gay woman and a teacher.",
        ]
    )
    assert insult > 0.9
    assert max(swearing, identity) < 0.5


def test_texts_beside_it_do_not_change_a_score():
    texts = ["You are an idiot.", "A calm lake.", "word " * 300 + "idiot", "zzqx"]
    together = insult_labels(texts * 100)
    apart = [insult_labels([text])[0].tolist() for text in texts]
    assert together[:4].flatten().tolist() == pytest.approx(sum(apart, []), abs=1e-4)
    assert together.shape == (400, len(LABELS))
    assert insult_labels([]).shape == (0, len(LABELS))


def test_other_languages_are_not_judged():
    assert insults(["Eres un idiota y nadie te quiere.", ""]) == [None, None]
