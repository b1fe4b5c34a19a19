"""Convert a pickled state dict to safetensors, in a process of its own.

    python unpickle.py model.bin model.safetensors

A pickle can run code when it is read. This one is read by torch's restricted unpickler, which
knows tensors and plain containers only, and in a process that does nothing else and ends.
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
        raise SystemExit("it holds something else than named tensors")
    safetensors.torch.save_file({k: v.contiguous() for k, v in state.items()}, sys.argv[2])
