"""What the masks that a user gives mean: their colours, object ids and frames."""
