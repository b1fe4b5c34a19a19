"""Versions of the libraries that results depend on."""

from importlib.metadata import version

__all__ = ["library_versions"]


def library_versions() -> dict[str, str]:
    """Name -> version of the libraries that run the models."""
    return {name: version(name) for name in ("torch", "transformers", "diffusers")}
