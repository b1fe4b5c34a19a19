"""One metric per file; each takes texts or a model and returns plain numbers."""
