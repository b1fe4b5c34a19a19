"""Affine maps and their application to a network."""
