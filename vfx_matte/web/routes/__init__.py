"""The requests that the studio answers, by what they are about."""
