"""How a salient network helps the built-in propagator."""
