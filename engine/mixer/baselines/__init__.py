"""What a router has to beat, each learning from the same rows: static weights, one LoRA of the experts' size,
and PEFT's X-LoRA."""

from engine.mixer.baselines.learned import LearnedWeights, RowsTask, matched_size
from engine.mixer.baselines.xlora import classifier, twin, xlora

__all__ = ["LearnedWeights", "RowsTask", "classifier", "matched_size", "twin", "xlora"]
