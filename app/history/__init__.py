"""Links, earlier results, and a picture that restores its settings."""
