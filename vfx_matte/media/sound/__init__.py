"""Carries sound from a source to an output: copied, cut or encoded anew."""
