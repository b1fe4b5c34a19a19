"""LinEAS: samples, loss, proximal step and gradient descent."""
