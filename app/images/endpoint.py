"""The typed endpoint of the Images tab for programs."""

from __future__ import annotations

import base64

from lineas_core.models.vocabulary import describe_unknown

from ..events import user_errors
from ..studio.checks import check_count, prompt_text, seed_of
from ..studio.steps import checked_steps
from ..studio.studio import Studio
from .handlers import TRUNCATED

__all__ = ["PictureEndpoint"]


class PictureEndpoint:
    """Paints for programs."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @user_errors
    def make_pictures(
        self,
        map_id: str,
        prompt: str,
        strengths: list[float],
        seed: int = 0,
        further: list[list] | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        steer_steps: list[int] | None = None,
    ) -> list[dict]:
        """Paint a prompt at several strengths with one seed.

        Args:
            map_id: id of a map of the kind text-to-image, as listed by `list_maps`.
            prompt: description of the picture, at most 2,000 characters.
            strengths: one to nine numbers from -1 (inverse) through 0 (original) to 1 (full).
            seed: the same seed gives the same pictures.
            further: up to two pairs [map_id, strength] of maps that are applied after the first
                one in this order, each at the same strength in every picture.
            steps: number of denoising steps, 1 to 100; left out, the default of the model.
            guidance: guidance scale, 0 to 100; left out, the default of the model.
            steer_steps: numbers of the first and the last denoising step at which maps act, from
                0, such as [0, 1]; left out, all.

        Returns:
            For each strength: strength, png (the file as base64, with its settings in the
            metadata), notes (sentences about parts of the prompt that the model does not read or
            does not know).
        """
        check_count(strengths)
        mix = self._studio.mix(map_id, further or (), checked_steps(steps, guidance, steer_steps))
        painting, text = self._studio.pictures.with_steps(mix.steps), prompt_text(prompt)
        rows = [mix.at(strength) for strength in strengths]
        pictures = painting.paint(mix.entries, text, rows, seed=seed_of(seed))
        unknown = self._studio.models.unknown_words(mix.entries[0].model, text)
        notes = [TRUNCATED] if any(picture.truncated for picture in pictures) else []
        notes += describe_unknown(unknown)
        return [
            {"strength": at, "png": base64.b64encode(picture.png()).decode(), "notes": notes}
            for at, picture in zip(strengths, pictures, strict=True)
        ]
