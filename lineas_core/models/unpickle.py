"""Convert a pickled state dict to safetensors; run as a script in a separate process.

    python unpickle.py model.bin model.safetensors

Reading a pickle can run code. This script therefore uses torch's restricted unpickler, which
only accepts tensors and plain containers, and its process does nothing else.
"""

import sys

import safetensors.torch
import torch

if __name__ == "__main__":
    state = torch.load(sys.argv[1], map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor)
        for name, tensor in state.items()
    ):
        raise SystemExit("the file holds something other than named tensors")
    safetensors.torch.save_file({k: v.contiguous() for k, v in state.items()}, sys.argv[2])
