"""What the masks that a user gives mean: colours, object ids, frames."""
