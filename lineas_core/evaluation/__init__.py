"""Measure what maps do to generated texts and pictures, strength by strength."""
