"""The background engine: everything but the window, and never Qt."""
