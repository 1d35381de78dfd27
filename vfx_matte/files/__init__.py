"""Files on disk: read with bounds, recognised by their bytes, written whole or not at all."""
