"""AV-HuBERT's encoder (arXiv 2201.02184), base and large: lips and sound of one clip as 25 vectors a second.

State-dict names and shapes are those of the published checkpoints, so that a converted file loads as it is.
"""
