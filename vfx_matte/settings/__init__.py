"""The options of every door, and config.ini."""
