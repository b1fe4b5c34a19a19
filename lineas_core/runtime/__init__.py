"""Memory, precision and attention kernels of the current device."""
