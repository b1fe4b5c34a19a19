"""What a program hands over by mistake is one sentence, at every entry."""

import numpy as np
import pytest

from lineas_core import LearnConfig, UserError, find_modules, learn
from lineas_core.methods import METHODS
from tests.fakes import tiny_chat_model, tiny_image_model, tiny_language_model

SIDES = ["a b", "c d"], ["e f", "g h"]
NO_TEXTS = ("rude.txt", ["the cat", None], [1, 2, 3], 7, None)


@pytest.fixture(scope="module", params=[tiny_language_model, tiny_chat_model, tiny_image_model])
def model(request):
    return request.param()


@pytest.mark.parametrize("texts", NO_TEXTS)
def test_learning_takes_lists_of_texts_only(model, texts):
    good = ["a b", "c d", "e f"]
    batches = {"config": LearnConfig(batch_size=2)}  # which looks for pairs
    for method, settings in (("lineas", {}), ("lineas", batches), ("mean-act", {})):
        for source, target in ((texts, good), (good, texts)):
            with pytest.raises(UserError, match=r"^(source|target|prompts) (is|has) .*a list of"):
                METHODS[method].learn(model, source, target, **settings)
    if texts:
        with pytest.raises(UserError, match=r"^prompts (is|has) .*Give a list of texts"):
            learn(model, *SIDES, heldout=(texts, good))


@pytest.mark.parametrize("texts", NO_TEXTS)
def test_generating_takes_lists_of_texts_only(model, texts):
    seeds = [0] * (len(texts) if isinstance(texts, str | list) else 1)
    with pytest.raises(UserError, match=r"^prompts (is|has) .*Give a list of texts"):
        model.generate(texts, seeds=seeds)


@pytest.mark.parametrize("seed", [2**70, -(2**70), 1.5, None, "7"])
def test_a_seed_is_a_whole_number_of_64_bits(model, seed):
    with pytest.raises(UserError, match=r"a seed is .*Give whole numbers"):
        model.generate(["a", "b"], seeds=[0, seed])


def test_any_kind_of_whole_number_is_a_seed():
    model = tiny_language_model()
    expected = model.generate(["a"], seeds=[7])
    assert model.generate(["a"], seeds=np.array([7])) == expected
    assert model.generate(("a",), seeds=range(7, 8)) == expected


@pytest.mark.parametrize("method", ["lineas", "mean-act", "reft"])
def test_learning_takes_the_name_of_a_layer_preset(method):
    model, config = tiny_language_model(), METHODS[method].config
    if method == "lineas":
        config = LearnConfig(iterations=1)
    maps = METHODS[method].learn(model, *SIDES, config=config, modules="late-post-layernorms")
    assert [*maps] == find_modules(model.network, "late-post-layernorms")
    with pytest.raises(UserError, match="no module of this network matches 'nonsense'"):
        METHODS[method].learn(model, *SIDES, modules="nonsense")
