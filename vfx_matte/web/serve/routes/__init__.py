"""The requests that are answered, by what they are about."""
