"""The text side of the generator: a BPE tokenizer over the world's captions, and its encoder."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import nn
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

from tools.emoji_world.captions import Picture, caption, random_picture
from tools.emoji_world.training import Clock, lower_precision, set_rate
from tools.emoji_world.vocabulary import LOOKS, SCENES, SUBJECTS

__all__ = ["MAX_TOKENS", "WIDTH", "learn_meanings", "new_text_encoder", "new_tokenizer"]

MAX_TOKENS = 48
WIDTH = 256
_START, _END = "<|startoftext|>", "<|endoftext|>"
_SPLIT = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)


def new_tokenizer(folder: Path) -> CLIPTokenizer:
    """Learn the merges from captions and write them into a folder in CLIP's form."""
    rng = Random(0)
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>", continuing_subword_prefix=""))
    bpe.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=2000, end_of_word_suffix="</w>", show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    bpe.train_from_iterator(
        (caption(random_picture(rng), rng) for _ in range(40_000)), trainer=trainer
    )
    merges = [tuple(pair) for pair in json.loads(bpe.to_str())["model"]["merges"]]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*letters, *(letter + "</w>" for letter in letters)]
    tokens += [token for token in ("".join(pair) for pair in merges) if token not in tokens]
    vocab = {token: i for i, token in enumerate([*tokens, _START, _END])}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    tokenizer = CLIPTokenizer(
        vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"),
        model_max_length=MAX_TOKENS,
    )  # fmt: skip
    tokenizer.save_pretrained(folder)
    return tokenizer


def new_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModelWithProjection:
    """Untrained; three layers, of which SDXL's pipeline takes the second's output."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=MAX_TOKENS,
        hidden_act="gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModelWithProjection(config)


def learn_meanings(
    encoder: CLIPTextModelWithProjection, tokenizer: CLIPTokenizer, minutes: float
) -> None:
    """Teach the encoder to tell scene, look and subjects of a caption, before any picture.

    Minutes instead of hours: without it the generator draws the average picture of all captions
    for its first thousand steps.
    """
    subjects = [None, *SUBJECTS]
    names: list[list] = [list(SCENES), list(LOOKS), subjects, subjects]
    heads = nn.ModuleList(nn.Linear(WIDTH, len(known)) for known in names)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *heads.parameters()], lr=1e-3)
    optimizer.param_groups[0]["rate"] = 1e-3
    rng, clock, step = Random(1), Clock(minutes), 0
    while not clock.over:
        pictures = [random_picture(rng) for _ in range(64)]
        captions = [caption(picture, rng) for picture in pictures]
        tokens = tokenizer(captions, padding=True, truncation=True, return_tensors="pt")
        wanted = torch.tensor([_indices(picture, names) for picture in pictures])
        with lower_precision():
            text = encoder(tokens["input_ids"]).text_embeds
            guesses = [head(text).float() for head in heads]
        loss = sum(F.cross_entropy(g, wanted[:, i]) for i, g in enumerate(guesses))
        set_rate([optimizer], min(1, (step + 1) / 100) * clock.decay(0.4))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step := step + 1) % 50 == 0:
            right = [(g.argmax(1) == wanted[:, i]).float().mean() for i, g in enumerate(guesses)]
            print("meanings", step, f"{loss:.3f}", [f"{share:.2f}" for share in right], flush=True)


def _indices(picture: Picture, names: list[list]) -> list[int]:
    shown = (picture.scene, picture.look, picture.subject, picture.second)
    return [known.index(name) for known, name in zip(names, shown, strict=True)]
