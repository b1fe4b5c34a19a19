"""Prompt sets and the files that hold them."""
