"""Maps and pictures on disk."""
