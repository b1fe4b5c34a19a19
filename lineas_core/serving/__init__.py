"""Serve a steered language model: a batch that requests join and leave, behind OpenAI's API."""
