"""A dozen rows of each data set that the paper's edition reads, in its published form."""

import csv
import io
import json

from tests.hub import Repository

_WORDS = ("sea", "fire", "leaf", "night", "stone", "river")
_WORDS += ("cloud", "horse", "glass", "bread", "smoke", "wheel")

_NAMES = """
    abstract_algebra anatomy astronomy business_ethics clinical_knowledge college_biology
    college_chemistry college_computer_science college_mathematics college_medicine
    college_physics computer_security conceptual_physics econometrics electrical_engineering
    elementary_mathematics formal_logic global_facts high_school_biology
    high_school_chemistry high_school_computer_science high_school_european_history
    high_school_geography high_school_government_and_politics high_school_macroeconomics
    high_school_mathematics high_school_microeconomics high_school_physics
    high_school_psychology high_school_statistics high_school_us_history
    high_school_world_history human_aging human_sexuality international_law jurisprudence
    logical_fallacies machine_learning management marketing medical_genetics miscellaneous
    moral_disputes moral_scenarios nutrition philosophy prehistory professional_accounting
    professional_law professional_medicine professional_psychology public_relations
    security_studies sociology us_foreign_policy virology world_religions
"""
_SUBJECTS = _NAMES.split()


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


def jigsaw():
    """Jigsaw's train.csv: an id, a comment of several lines, and six labels."""
    labels = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(["id", "comment_text", *labels])
    for number, word in enumerate(_WORDS):
        toxic, insult = int(number % 2 == 0), int(number % 4 in (0, 1) and number < 6)
        comment = f'"\n\nThe {word}, and ""you"": {"a fool" if toxic else "thanks"}\n'
        rows.writerow([f"{number:016x}", comment, toxic, 0, 0, 0, insult, 0])
    return Repository({"train.csv": written.getvalue().encode()})


def tet():
    """TET: a conversation, metrics of Perspective, and the prompt; its repository is gated."""
    import pyarrow as arrow

    schema = arrow.schema(
        [
            ("conversation_id", arrow.string()),
            ("metrics", arrow.list_(arrow.string())),
            ("query", arrow.string()),
        ]
    )
    rows = [
        {
            "conversation_id": f"{number:032x}",
            "metrics": ["TOXICITY", "INSULT"],
            "query": f"Write what the angry {word} says to the harbour master.",
        }
        for number, word in enumerate(_WORDS)
    ]
    file = "data/train-00000-of-00001.parquet"
    card = b"---\nlicense: apache-2.0\n---\nTET"
    return Repository({"README.md": card, file: _parquet(rows, schema)}, gated=True)


def wikipedia():
    """Sentences of Wikipedia: one column in two files."""
    import pyarrow as arrow

    schema = arrow.schema([("sentence", arrow.string())])
    rows = [{"sentence": f"The {word} is a village in the north."} for word in _WORDS]
    files = {f"data/train-0000{n}-of-00002.parquet": rows[n::2] for n in range(2)}
    return Repository({name: _parquet(part, schema) for name, part in files.items()})


def mmlu():
    """MMLU: a configuration for each subject, with five rows to learn from and one to answer."""
    import pyarrow as arrow

    schema = arrow.schema(
        [
            ("question", arrow.string()),
            ("subject", arrow.string()),
            ("choices", arrow.list_(arrow.string())),
            ("answer", arrow.int64()),
        ]
    )
    files, configs = {}, []
    for subject in _SUBJECTS:
        rows = [
            {
                "question": f"Which of these is a {word}?",
                "subject": subject,
                "choices": ["one", "two", "three", "four"],
                "answer": number % 4,
            }
            for number, word in enumerate(_WORDS[:6])
        ]
        parts = {"test": rows[:1], "validation": rows[:1], "dev": rows[1:]}
        configs += [f"- config_name: {subject}", "  data_files:"]
        for part, lines in parts.items():
            files[f"{subject}/{part}-00000-of-00001.parquet"] = _parquet(lines, schema)
            configs += [f"  - split: {part}", f"    path: {subject}/{part}-*"]
    card = "\n".join(["---", "license: mit", "configs:", *configs, "---", "MMLU"])
    return Repository({"README.md": card.encode(), **files})


def truthfulqa():
    """TruthfulQA's multiple choice: choices and their labels, in a parquet file."""
    import pyarrow as arrow

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
    card = (
        "---\nlicense: apache-2.0\nconfigs:\n- config_name: multiple_choice\n  data_files:\n"
        "  - split: validation\n    path: multiple_choice/validation-*\n---\nTruthfulQA\n"
    )
    file = "multiple_choice/validation-00000-of-00001.parquet"
    return Repository({"README.md": card.encode(), file: _parquet(rows, schema)})


def _parquet(rows, schema):
    import pyarrow as arrow
    from pyarrow import parquet

    written = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(rows, schema), written)
    return written.getvalue()
