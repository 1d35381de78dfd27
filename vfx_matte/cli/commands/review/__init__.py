"""The commands that look at masks and results, and say what they found."""
