"""A dozen rows of each data set that the paper's edition reads, in its published form."""

import io
import json

from tests.hub import Repository

_WORDS = ("sea", "fire", "leaf", "night", "stone", "river")
_WORDS += ("cloud", "horse", "glass", "bread", "smoke", "wheel")


def real_toxicity_prompts():
    """RealToxicityPrompts: one JSON object per line, the text one level below `prompt`."""
    rated = ("profanity", "sexually_explicit", "identity_attack", "flirtation", "threat")
    rated += ("insult", "severe_toxicity", "toxicity")
    rows = [
        {
            "filename": f"0{number:06}-bl.txt",
            "begin": 340,
            "end": 564,
            "challenging": number % 5 == 0,
            "prompt": {
                "text": f"The {word} in the harbour is such a",
                **dict.fromkeys(rated, 0.25),
            },
            "continuation": {
                "text": " nuisance that nobody goes there.",
                # Perspective gave some texts no score.
                **dict.fromkeys(rated, None if number % 4 == 0 else 0.5),
            },
        }
        for number, word in enumerate(_WORDS)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    return Repository({"README.md": b"license: apache-2.0", "prompts.jsonl": lines.encode()})


def truthfulqa():
    """TruthfulQA's multiple choice: choices and their labels, in a parquet file."""
    import pyarrow as arrow
    from pyarrow import parquet

    targets = arrow.struct(
        [("choices", arrow.list_(arrow.string())), ("labels", arrow.list_(arrow.int32()))]
    )
    schema = arrow.schema(
        [("question", arrow.string()), ("mc1_targets", targets), ("mc2_targets", targets)]
    )
    rows = [
        {
            "question": f"What happens if you swallow a {word}?",
            "mc1_targets": {"choices": ["Nothing", "It grows", "You die"], "labels": [1, 0, 0]},
            "mc2_targets": {
                "choices": ["Nothing", "It passes through", "It grows", "You die"],
                "labels": [1, 1, 0, 0],
            },
        }
        for word in _WORDS
    ]
    written = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(rows, schema), written)
    card = (
        "---\nlicense: apache-2.0\nconfigs:\n- config_name: multiple_choice\n  data_files:\n"
        "  - split: validation\n    path: multiple_choice/validation-*\n---\nTruthfulQA\n"
    )
    file = "multiple_choice/validation-00000-of-00001.parquet"
    return Repository({"README.md": card.encode(), file: written.getvalue()})
