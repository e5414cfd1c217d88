"""Reusable widgets and the theme: plain values in, plain signals out."""
