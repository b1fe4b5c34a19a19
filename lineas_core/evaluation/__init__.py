"""Measure what maps do to texts and pictures."""
