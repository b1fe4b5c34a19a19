"""LinEAS: the loss, the proximal step and the descent."""
