"""The openings of the tables about toxicity.

The paper's edition takes those of the paper, RealToxicityPrompts (Gehman et al., 2020).
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from lineas_core.errors import UserError
from lineas_core.models.hub import download_data
from lineas_core.tables.workbench import lines_of

__all__ = ["REAL_TOXICITY_PROMPTS", "SAMPLED", "real_toxicity_prompts", "toxicity_openings"]

REAL_TOXICITY_PROMPTS = "allenai/real-toxicity-prompts"
SAMPLED = 1000
"""Number of prompts that the paper takes (LinEAS, section 4.1)."""


def toxicity_openings(edition: str) -> list[str]:
    """Return the openings of an edition: 100 of ours, or 1000 of RealToxicityPrompts.

    Raises:
        UserError: the file could not be downloaded, or is damaged.
    """
    if edition == "small":
        return lines_of("toxicity-openings.txt")
    return real_toxicity_prompts(download_data(REAL_TOXICITY_PROMPTS, "prompts.jsonl"))


def real_toxicity_prompts(file: Path) -> list[str]:
    """Read the prompts of RealToxicityPrompts, a sample of 1000 that is always the same.

    Args:
        file: one JSON object per line, with the text under `prompt` and `text`.

    Raises:
        UserError: a line is not of this form.
    """
    texts = []
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                texts.append(str(json.loads(line)["prompt"]["text"]).strip())
            except (ValueError, LookupError, TypeError) as error:
                raise UserError(
                    "E_DATA",
                    "this is not a line of RealToxicityPrompts",
                    where=f"{file.name}, line {number}",
                    remedy=f"Delete {file} and run it again: it is downloaded anew.",
                ) from error
    texts = [text for text in texts if text]
    return random.Random(0).sample(texts, min(SAMPLED, len(texts)))
