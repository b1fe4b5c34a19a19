import math

import pytest
import torch
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from lineas_core import (
    AffineMap,
    LearnConfig,
    LowRankMap,
    SteeringMaps,
    UserError,
    fold,
    learn,
    load_maps,
    load_model,
    record,
    steer,
)
from lineas_core.metrics.perplexity import perplexity, prose_perplexity
from lineas_core.metrics.topic import mentions
from lineas_core.metrics.toxicity import toxicity
from lineas_core.models import LanguageModel, Sampling, folder_of, installed, likelihood
from lineas_core.models.sampling import choose
from tests.architectures import tiny_model
from tests.fakes import save_model, tiny_language_model
from tests.tolerance import TEXT_NETWORK, rounding, tolerance

SHORT = Sampling(max_new_tokens=8)


@pytest.fixture(scope="module")
def model():
    return tiny_language_model()


def test_the_same_seed_gives_the_same_text_alone_or_in_a_batch(model):
    alone = model.generate(["hello"], seeds=[7], sampling=SHORT)
    batch = model.generate(["hello", "hello", "hello"], seeds=[7, 8, 7], sampling=SHORT)
    assert batch[0] == batch[2] == alone[0]
    assert batch[1] != batch[0]


def test_a_twin_has_the_same_weights_in_memory_and_is_steered_by_itself(model):
    twin = model.twin()
    for one, other in zip(model.network.parameters(), twin.network.parameters(), strict=True):
        assert one.data_ptr() == other.data_ptr()
    plain = model.generate(["hello"], seeds=[7], sampling=SHORT)
    assert twin.generate(["hello"], seeds=[7], sampling=SHORT) == plain
    width = model.network.config.hidden_size
    maps = SteeringMaps(
        {name: AffineMap(torch.ones(width), torch.randn(width)) for name in model.default_modules}
    )
    for steered in (steer, fold):
        with steered(twin.network, maps):
            assert twin.generate(["hello"], seeds=[7], sampling=SHORT) != plain
            assert model.generate(["hello"], seeds=[7], sampling=SHORT) == plain


def test_prompts_of_different_length_do_not_disturb_each_other(model):
    (alone,) = model.generate(["a rather long opening"], seeds=[3], sampling=SHORT)
    _, padded = model.generate(["a", "a rather long opening"], seeds=[1, 3], sampling=SHORT)
    assert padded == alone


def test_streaming_ends_with_what_generate_returns(model):
    steps = list(model.stream(["hello"], seeds=[7], sampling=SHORT))
    assert len(steps) == 8
    assert steps[-1] == model.generate(["hello"], seeds=[7], sampling=SHORT)


def test_temperature_zero_takes_the_likeliest_token(model):
    cold = Sampling(max_new_tokens=4, temperature=0)
    assert model.generate(["hello"], seeds=[1], sampling=cold) == model.generate(
        ["hello"], seeds=[2], sampling=cold
    )


def test_sampling_draws_from_the_softmax():
    logits = torch.tensor([[0.0, 1.0, 2.0, -1.0]]).expand(20_000, 4)
    drawn = choose(logits, torch.arange(20_000), 0, Sampling(temperature=2.0, top_k=3))
    share = torch.bincount(drawn, minlength=4) / 20_000
    expected = torch.tensor([0.0, 0.5, 1.0, -torch.inf]).softmax(0)
    torch.testing.assert_close(share, expected, atol=0.015, rtol=0)


def test_sampling_from_a_nucleus_draws_from_its_likeliest_tokens_only():
    share = torch.tensor([[0.1, 0.5, 0.3, 0.06, 0.04]])
    logits, seeds = share.log().expand(20_000, 5), torch.arange(20_000)
    drawn = choose(logits, seeds, 0, Sampling(top_p=0.85))  # 0.5 + 0.3 < 0.85 <= 0.9
    found = torch.bincount(drawn, minlength=5) / 20_000
    expected = torch.tensor([0.1, 0.5, 0.3, 0, 0]) / 0.9
    torch.testing.assert_close(found, expected, atol=0.015, rtol=0)
    assert choose(logits, seeds, 0, Sampling(top_p=0)).unique().tolist() == [1]


def test_rows_may_be_at_different_steps():
    logits, seeds = torch.randn(1, 50).expand(6, 50), torch.zeros(6, dtype=torch.int64)
    together = choose(logits, seeds, torch.arange(6), Sampling())
    one_by_one = [choose(logits[:1], seeds[:1], step, Sampling()).item() for step in range(6)]
    assert together.tolist() == one_by_one
    assert len({*one_by_one}) > 1


def test_the_first_token_special_tokens_and_padding_do_not_count(model):
    inputs = model.encode(["ab", "abcd"])
    # <bos> is first and special; of padding there are two.
    assert inputs.weight.tolist() == [[0, 1, 1, 0, 0], [0, 1, 1, 1, 1]]


def test_an_overlong_prompt_is_cut_and_counted(model):
    inputs = model.encode(["a" * 2000, "short"])
    assert inputs.arguments["input_ids"].shape[1] == 512
    assert inputs.truncated == 1


def test_likelihood_is_that_of_the_whole_sequence(model):
    total, count = model.log_likelihood(["abc"], ["defg"])[0].tolist()
    ids = model.tokenizer("abcdefg", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        log_p = model.network(ids).logits[0].log_softmax(-1)
    expected = sum(log_p[k - 1, ids[0, k]].item() for k in range(4, 8))
    assert (total, count) == (pytest.approx(expected, rel=1e-4), 4)


@pytest.mark.parametrize("places", [1, 7, 1000])
def test_texts_judged_together_are_judged_as_each_alone(model, monkeypatch, places):
    width = model.network.config.vocab_size
    monkeypatch.setattr(likelihood, "MAX_LOGITS", places * width)
    openings = ["abc", "", "a long opening, ", "", "x", "abc", ""]
    texts = ["defg", "h", " of few", "", "", "a", "hello there"]
    alone = [model.log_likelihood([a], [b]) for a, b in zip(openings, texts, strict=True)]
    together = model.log_likelihood(openings, texts)
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-4)
    assert together[:, 1].tolist() == [4, 1, 7, 0, 0, 1, 11]


@pytest.mark.parametrize("low_rank", [False, True])
@pytest.mark.parametrize("places", [1, 7, 1000])
def test_every_text_is_judged_at_the_strength_of_its_own_row(model, monkeypatch, places, low_rank):
    monkeypatch.setattr(likelihood, "MAX_LOGITS", places * model.network.config.vocab_size)
    name, width = model.default_modules[0], model.network.config.hidden_size
    step = AffineMap(torch.full((width,), 1.5), torch.randn(width))
    if low_rank:
        step = LowRankMap(torch.randn(width, 2), torch.randn(2, width), torch.randn(2))
    maps = SteeringMaps({name: step})
    openings = ["abc", "", "a long opening, ", "", "x", "abc"]
    texts = ["defg of many", "h", " of few", "", "", "a"]
    strengths = [0.0, 1.0, 0.5, 1.0, 0.25, 0.75]
    rows = []
    for opening, text, strength in zip(openings, texts, strengths, strict=True):
        with steer(model.network, maps, strength):
            rows.append(model.log_likelihood([opening], [text]))
    with steer(model.network, maps, strengths):
        together = model.log_likelihood(openings, texts)
    torch.testing.assert_close(together, torch.cat(rows), rtol=1e-4, atol=1e-4)


def test_texts_judged_in_several_batches_need_one_strength_each(model, monkeypatch):
    monkeypatch.setattr(likelihood, "MAX_LOGITS", 2 * model.network.config.vocab_size)
    width = model.network.config.hidden_size
    maps = SteeringMaps({model.default_modules[0]: AffineMap.identity(width)})
    with (
        pytest.raises(UserError, match="2 strengths came with a batch of 4 rows"),
        steer(model.network, maps, [0.0, 1.0]),
    ):
        model.log_likelihood(["a"] * 4, ["b"] * 4)


def test_perplexity_of_nothing_is_not_a_number(model):
    values = perplexity(model, ["abc", "abc"], ["", "def"])
    assert values[0] != values[0]
    assert values[1] > 1


def test_perplexity_of_prose_counts_all_tokens_alike(model):
    texts = ["abc de", "fgh abcdefg"]
    rows = model.log_likelihood(["abc", "fgh"], [" de", " abcdefg"])
    expected = math.exp(-rows[:, 0].sum() / rows[:, 1].sum())
    near = rounding(terms=TEXT_NETWORK)
    assert rows[:, 1].tolist() == [3, 8]
    assert prose_perplexity(model, texts) == pytest.approx(expected, rel=near)


@pytest.mark.parametrize("prompts", [["one", "two"], []])
def test_seeds_and_prompts_must_match(model, prompts):
    with pytest.raises(UserError):
        model.generate(prompts, seeds=[1], sampling=SHORT)


def test_a_chat_template_that_is_not_there_is_one_sentence(model):
    with pytest.raises(UserError, match="no chat template"):
        model.generate(["hello"], seeds=[1], chat=True)


def test_in_a_chat_the_template_before_the_prompt_does_not_count():
    model = tiny_language_model()
    model.tokenizer.chat_template = (
        "{% for m in messages %}S:{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}>{% endif %}"
    )
    chat = model.as_chat()
    inputs = chat.encode(["ab", "S:ab"])  # the template begins like a prompt
    texts = model.tokenizer.batch_decode(inputs.arguments["input_ids"], skip_special_tokens=True)
    assert texts == ["S:ab>", "S:S:ab>"]
    assert inputs.weight.tolist() == [[0, 0, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1, 1]]
    assert (model.chat, chat.chat) == (False, True)
    assert chat.network is model.network


def test_a_blank_prompt_is_refused_in_a_chat_as_it_is_without():
    model = tiny_language_model()
    model.tokenizer.chat_template = "{% for m in messages %}<{{ m.content }}>{% endfor %}"
    with pytest.raises(UserError, match="prompt 2 of 2 is empty"):
        model.as_chat().encode(["ab", " \n"])
    with pytest.raises(UserError, match="the prompt is empty"):
        model.generate([""], seeds=[0], chat=True)


def test_a_prompt_that_only_its_chat_template_makes_too_long_is_told():
    model = tiny_language_model()
    template = "{% for m in messages %}" + "S" * 20 + "{{ m.content }}{% endfor %}"
    model.tokenizer.chat_template = template
    chat, ends = model.as_chat(), [("a" * 495) + end for end in "bc"]
    rows = chat.encode(ends)
    assert (rows.arguments["input_ids"][0] == rows.arguments["input_ids"][1]).all()
    assert rows.truncated == 2
    assert len(chat.reader.describe(ends[:1], ends[1:])) == 2  # cut, and the same for the model
    assert model.reader.describe(ends[:1], ends[1:]) == []
    assert chat.reader.truncated(["a" * 492]) == 0  # a template has the tokens that begin a text


def test_a_map_records_that_it_was_learnt_from_a_chat():
    model = tiny_language_model()
    model.tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    config, sides = LearnConfig(iterations=1), (["a b", "c d"], ["e f", "g h"])
    for each, expected in ((model, False), (model.as_chat(), True)):
        assert learn(each, *sides, config=config).metadata["chat"] is expected


@pytest.mark.parametrize(
    ("setting", "value"),
    [("temperature", float("nan")), ("temperature", -1), ("max_new_tokens", 0), ("top_k", "all")],
)
def test_sampling_out_of_range_names_the_range(setting, value):
    with pytest.raises(UserError, match=f"{setting} is .* from"):
        Sampling(**{setting: value})


def test_a_length_is_a_whole_number():
    with pytest.raises(UserError, match="Give a whole number from 1 to 1000000"):
        Sampling(max_new_tokens=40.0)


def test_a_model_whose_layers_are_called_otherwise_learns_what_it_is_told_or_its_own(tmp_path):
    config = GPT2Config(vocab_size=300, n_positions=64, n_embd=16, n_layer=1, n_head=2)
    tiny = tiny_language_model()
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)
    model = load_model(str(tmp_path))
    assert model.default_modules == ["transformer.h.0.ln_2"]
    modules = ["transformer.h.0.ln_1"]
    maps = learn(
        model,
        ["a b", "b c"],
        ["c d", "d e"],
        config=LearnConfig(iterations=1),
        modules=modules,
    )
    assert list(maps) == modules


def test_damaged_weights_are_one_sentence(tmp_path):
    save_model(tiny_language_model(), tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match="could not be loaded"):
        load_model(str(tmp_path))


def test_a_topic_is_found_at_the_start_of_words_only():
    texts = ["Nocturnal owls", "a knight", "the NIGHT train", ""]
    assert mentions(texts, ["night", "nocturn"]) == [True, False, True, False]
    assert mentions(texts, []) == [False] * 4


def test_a_topic_is_found_in_other_scripts_and_beside_signs():
    assert mentions(["我爱足球", "我爱你"], ["足球"]) == [True, False]
    assert mentions(["We are #winning.", "unwinning"], ["#winning"]) == [True, False]
    assert mentions(["a cafe\u0301 in Paris"], ["café"]) == [True]
    assert mentions(["anything"], ["", " "]) == [False]


def test_the_scorer_tells_insults_from_kindness():
    rude, kind = toxicity(["You are a stupid idiot.", "What a lovely garden you have."])
    assert rude > 0.5 > kind
    assert toxicity([]) == []


@pytest.mark.skipif(not installed("gemma-3-270m"), reason="Gemma is not installed")
def test_a_text_of_gemma_shows_none_of_its_control_tokens():
    tokenizer = AutoTokenizer.from_pretrained(folder_of("gemma-3-270m"))
    ids = tokenizer.convert_tokens_to_ids(["<start_of_image>", "▁day", "[multimodal]", "<b>"])
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == " day<b>"


@pytest.mark.skipif(not installed("smollm2-135m"), reason="SmolLM2 is not installed")
def test_the_embedded_model_steers_and_stops_before_its_head():
    model = load_model("smollm2-135m")
    plain = model.generate(["Once upon a time"], seeds=[0], sampling=SHORT)
    assert plain[0].strip()
    with record(model.network, model.default_modules, stop=True) as activations:
        model.forward(model.encode(["Once upon a time"]))
    assert len(activations) == 30
    maps = load_maps("assets/maps/football-smollm2-135m")
    with steer(model.network, maps, 0.0):
        assert model.generate(["Once upon a time"], seeds=[0], sampling=SHORT) == plain
    seeds = range(8)
    plain = model.generate(["Once upon a time"] * 8, seeds=seeds, sampling=SHORT)
    with steer(model.network, maps, 1.0):
        assert model.generate(["Once upon a time"] * 8, seeds=seeds, sampling=SHORT) != plain


def test_an_empty_prompt_is_refused_by_its_number(model):
    with pytest.raises(UserError, match="prompt 2 of 3 is empty"):
        model.encode(["hello", "", "world"])


PLAIN = "{{ messages[0]['content'] }}"  # nothing is put before it, no first token either


def test_a_text_without_an_opening_is_judged_from_its_second_token(model, monkeypatch):
    monkeypatch.setattr(model.tokenizer, "chat_template", PLAIN)
    rows = model.log_likelihood(["", "h", ""], ["hello", "ello", ""], chat=True)
    torch.testing.assert_close(rows[0], rows[1], **tolerance(terms=TEXT_NETWORK))
    assert rows[0, 1] == 4
    assert rows[2].tolist() == [0, 0]


def test_an_answer_is_judged_within_the_template_it_was_written_in(model, monkeypatch):
    monkeypatch.setattr(model.tokenizer, "chat_template", f"[{PLAIN}]")
    asked = model.log_likelihood(["hi"], ["ho"], chat=True)
    assert perplexity(model, ["hi"], ["ho"], chat=True) != perplexity(model, ["hi"], ["ho"])
    monkeypatch.setattr(model.tokenizer, "chat_template", PLAIN)
    torch.testing.assert_close(asked, model.log_likelihood(["[hi]"], ["ho"], chat=True))


def test_a_text_beyond_the_positions_of_a_network_is_refused_with_both_numbers():
    model = tiny_model("gpt2")  # has 128 positions
    with pytest.raises(UserError, match="125 tokens of text and 8 new ones exceed the 128 pos"):
        model.generate(["a" * 124], seeds=[0], sampling=SHORT)
    with pytest.raises(UserError, match="201 tokens of text exceed the 128 positions of gpt2"):
        model.log_likelihood(["a" * 100], ["b" * 100])
    assert model.encode(["a" * 500]).arguments["input_ids"].shape[1] == 128
    rotating = tiny_language_model()
    assert rotating.generate(["a" * 600], seeds=[0], sampling=SHORT)


@pytest.mark.parametrize("kind", ["bert", "xlnet"])
def test_a_network_that_reads_in_both_directions_is_refused(kind):
    with pytest.raises(UserError, match=f"{kind} is a .* reads a text in both directions"):
        tiny_model(kind)


# Of these RWKV is disturbed by padding and by its own state in a batch, GPT has no cache, Mamba
# and MiniMax have caches of their own.
@pytest.mark.parametrize("kind", ["rwkv", "openai-gpt", "mamba", "minimax"])
def test_texts_of_every_kind_of_network_are_the_same_alone_and_beside_longer_ones(kind):
    model = tiny_model(kind)
    maps = learn(model, ["a b", "c d"], ["e f", "g h"], config=LearnConfig(iterations=2))
    texts, seeds = ["ab", "a longer text", "cd"], [1, 2, 3]
    with steer(model.network, maps, [0.0, 1.0, 1.0]):
        together = model.generate(texts, seeds=seeds, sampling=SHORT)
    for row, strength in enumerate([0.0, 1.0, 1.0]):
        with steer(model.network, maps, strength):
            alone = model.generate([texts[row]], seeds=[seeds[row]], sampling=SHORT)
        assert alone == [together[row]]
    scores = model.log_likelihood(texts, texts)
    for row, text in enumerate(texts):
        alone = model.log_likelihood([text], [text])
        torch.testing.assert_close(scores[row : row + 1], alone, **tolerance(terms=4096))


def test_a_tokenizer_without_a_token_for_padding_takes_another_special_one():
    model = tiny_language_model()
    for missing in ("pad_token", "eos_token"):
        setattr(model.tokenizer, missing, None)
    again = LanguageModel(model.network, model.tokenizer, name="tiny")
    assert again.tokenizer.pad_token == "<eos>"  # the configuration of the network names it
    assert len(again.generate(["a", "abc"], seeds=[0, 1], sampling=SHORT)) == 2
    model.tokenizer.pad_token = model.tokenizer.bos_token = None
    for settings in (model.network.generation_config, model.network.config):
        settings.eos_token_id = None
    with pytest.raises(UserError, match="tiny has no special token .* `pad_token`"):
        LanguageModel(model.network, model.tokenizer, name="tiny")


def test_a_token_that_only_the_tokenizer_knows_is_refused_and_does_not_pad():
    model = tiny_language_model()
    model.tokenizer.add_special_tokens({"pad_token": "<new>"})
    again = LanguageModel(model.network, model.tokenizer, name="tiny")
    assert again.tokenizer.pad_token == "<eos>"
    assert len(again.generate(["a", "abc"], seeds=[0, 1], sampling=SHORT)) == 2
    reason = "has the token 259, and tiny has embeddings for 259 tokens"
    for use_it in (
        lambda: again.generate(["a <new>"], seeds=[0], sampling=SHORT),
        lambda: again.encode(["a <new>"]),
        lambda: again.log_likelihood(["a"], ["<new>"]),
    ):
        with pytest.raises(UserError, match=reason):
            use_it()
