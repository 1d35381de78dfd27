"""The built-in propagator: needs no PyTorch and no GPU."""
