"""Convert a pickled state dict to safetensors; run as a script in a separate process.

    python unpickle.py model.bin model.safetensors

Reading a pickle can run code. This script therefore uses torch's restricted unpickler, which
only accepts tensors and plain containers, and its process does nothing else.
"""

import sys
import zipfile

import safetensors.torch
import torch


def _apart(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return tensors (any shape) that share no memory, such as tied weights do."""
    known, apart = set(), {}
    for name, tensor in state.items():
        place = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone() if place in known else tensor
        apart[name] = apart[name].contiguous()
        known.add(place)
    return apart


if __name__ == "__main__":
    source, target = sys.argv[1:]
    # Of the format before zip archives, the file cannot be mapped into memory.
    mapped = zipfile.is_zipfile(source)
    state = torch.load(source, map_location="cpu", weights_only=True, mmap=mapped)
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor)
        for name, tensor in state.items()
    ):
        raise SystemExit("the file holds something other than named tensors")
    # Without the format, transformers would take the weights for those of another library.
    safetensors.torch.save_file(_apart(state), target, metadata={"format": "pt"})
