"""Prompt sets and their file formats."""
