"""How shipped data was made; nothing here is imported by the app."""
