"""The tabs: each file declares components and wires events, without logic."""
