"""Item models that lists and cards are views of."""
