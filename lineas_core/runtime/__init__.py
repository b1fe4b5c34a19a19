"""Memory, precision and attention of the device at hand."""
