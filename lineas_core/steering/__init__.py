"""Affine maps, and how a network applies them."""
