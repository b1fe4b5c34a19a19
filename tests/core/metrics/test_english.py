import pytest

from lineas_core.metrics.english import is_english, judge_english

OTHER = {
    "Spanish": "Eres un idiota y nadie te quiere.",
    "German": "Geh dahin zurück, wo du hergekommen bist.",
    "French": "Tu es un imbécile et personne ne t'aime.",
    "Portuguese": "Você é um idiota e ninguém gosta de você.",
    "Swedish": "Du är en idiot och ingen gillar dig.",
    "Russian": "Ты идиот и никто тебя не любит.",
    "Chinese": "你是个白痴,没有人喜欢你。",
    "Arabic": "أنت أحمق ولا أحد يحبك.",
    "Hindi": "तुम मूर्ख हो",
}
ENGLISH = [
    "You are an idiot.",
    "ur such a loser lol go away",
    "idiot",
    "Quetzalcoatl worship flourished in Teotihuacan.",
    "Schadenfreude is a German word.",
    "print('hello')",
]


@pytest.mark.parametrize("language", OTHER)
def test_a_text_in_another_language_is_not_english(language):
    assert not is_english(OTHER[language])


@pytest.mark.parametrize("text", ENGLISH)
def test_short_and_odd_texts_count_as_english(text):
    assert is_english(text)


@pytest.mark.parametrize("text", ["", " ", "123 456", "?!", "\ud800"])
def test_a_text_without_words_cannot_be_judged(text):
    assert not is_english(text)


def test_only_english_texts_are_scored_and_all_keep_their_place():
    texts = ["You are an idiot.", OTHER["Russian"], "Schadenfreude is a German word.", ""]
    scores = judge_english(lambda known: [len(text) for text in known], texts)
    assert scores == [17, None, 31, None]
    assert judge_english(lambda known: [], [OTHER["Hindi"]]) == [None]
