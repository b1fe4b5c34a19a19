"""Scripts that made the shipped models, maps and pictures. The app imports nothing from here."""
