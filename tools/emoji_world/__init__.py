"""emoji-world: how the embedded image model is made. Not imported by the app."""
