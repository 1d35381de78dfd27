"""Measures of masks: against the truth, and over a clip to find frames that stand out."""
