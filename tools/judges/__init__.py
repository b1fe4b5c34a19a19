"""How the judges of texts in `assets/judges` were made."""
