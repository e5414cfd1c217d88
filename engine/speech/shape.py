"""Rates and sizes of what is heard and seen, as the published encoders were trained. Torch-free."""

__all__ = ["CROP", "DEVIATION", "FPS", "MEAN", "SAMPLE_RATE", "SIDE", "WHISPER_RATE"]

SAMPLE_RATE, FPS = 16_000, 25
WHISPER_RATE = 50
"""Vectors of a Whisper's encoder a second."""
SIDE, CROP = 96, 88
"""Pixels of a mouth picture, and of the part of it that the encoder sees."""
MEAN, DEVIATION = 0.421, 0.165
"""Of grey mouths between 0 and 1, as published with AV-HuBERT."""
