import pytest

from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.prompts.syntax import describe_syntax


@pytest.mark.parametrize(
    "syntax",
    ["(cat:1.2)", "(red hair: 0.8 )", "<lora:foo:0.8>", "{red|blue}", "__colour__", "# grey"],
)
def test_syntax_that_no_model_understands_is_named(syntax):
    (note,) = describe_syntax(["a fox", f"a bird {syntax}"])
    assert note == f"1 prompt with syntax that the model reads as plain words: {syntax.strip()}"


@pytest.mark.parametrize(
    "prompt",
    [
        "a (small) fox",
        "at 10:30",
        "#sunset at sea",
        "we are #1",
        "a < b",
        "snake_case",
        "a {word}",
    ],
)
def test_ordinary_text_is_not_taken_for_syntax(prompt):
    assert describe_syntax([prompt]) == ()


def test_a_file_of_wildcards_is_taken_with_a_note():
    content = "# animals\n#\nfox\n## more\nwolf   # grey\n#sunset\n{red|blue} fish\n"
    prompts, notes = PromptSet.parse_side(content.encode(), "wildcards.txt")
    assert prompts == ("fox", "wolf   # grey", "#sunset", "{red|blue} fish")
    assert notes == (
        "wildcards.txt: 3 comment lines skipped",
        "2 prompts with syntax that the model reads as plain words: # grey, {red|blue}",
    )


def test_a_set_notes_syntax_on_either_side():
    data = PromptSet(("a", "(b:2)"), ("c", "__d__"))
    assert data.notes == (
        "2 prompts with syntax that the model reads as plain words: (b:2), __d__",
    )
