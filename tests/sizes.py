"""Memory and time of pictures at full size, calculated without weights.

python -m tests.sizes          writes the table in docs/models.md
python -m tests.sizes NAME     prints the row of a model
"""

import sys

import torch

from lineas_core.learning.plan import measure_painter
from lineas_core.models.families import FAMILIES
from lineas_core.models.outline import outline_pictures
from lineas_core.models.published import PUBLISHED
from tests.pipelines import write_section

SIZES = "# Memory and time of pictures"


def line(name):
    """Calculate a row of the table of memory and time."""
    networks, kind = outline_pictures(name)
    one, denoiser = measure_painter(networks, kind), FAMILIES[kind].denoiser
    cells = [
        f"{one.parameters[denoiser] / 1e9:.2f} of {sum(one.parameters.values()) / 1e9:.2f}",
        f"{one.pixels}",
        f"{one.step / 2e12:.2f}",
        f"{one.weights / 1e9:.1f} + {max(one.network, one.decoder) / 1e9:.1f}",
        f"{one.resident / 1e9:.1f}",
        f"{one.learning.kept / 1e9:.1f}",
        f"{one.learning.kept_checkpointed / 1e9:.1f}",
    ]
    return f"| {name} | {' | '.join(cells)} |"


def table(lines):
    """Format the table of memory and time of docs/models.md."""
    head = [
        "parameters of the network and of all, billions",
        "pixels",
        "multiply-adds of a step, 10¹²",
        "a picture: weights + rest, GB",
        "learning: weights, GB",
        "a prompt, GB",
        "with checkpointing, GB",
    ]
    return "\n".join(
        [
            SIZES,
            "",
            "Calculated on torch's meta device from published configurations, in bfloat16 (the",
            "decoder in float32), for fused attention; allocators need more. A second pass for",
            "guidance doubles the multiply-adds. While learning, text encoders leave the GPU, and",
            "each prompt that passes at a time needs its part. Measured for SDXL on an H200: 6 GB",
            "a prompt. `lineas learn PROMPTS MAP --model NAME --plan` prints this for any model.",
            "Written by `python -m tests.sizes`.",
            "",
            f"| model | {' | '.join(head)} |",
            f"|---{'|---' * len(head)}|",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = []
    for each in sys.argv[1:] or PUBLISHED:
        found.append(line(each))
        print(found[-1], flush=True)  # noqa: T201
    if not sys.argv[1:]:
        write_section(SIZES, table(found))
