"""The mixer: a router that weighs frozen experts for every token, its losses, and a mix on disk.

bank, router, mix = load_mix(folder, model)
gates = bank.new_gates({name: 1.0 for name in mix.experts}, router=router.play("topk", top_k=3))
bank.gates = gates
"""

from engine.mixer.collapse import RoutingWatch, collapse
from engine.mixer.losses import Routing, entropy_band_loss, routing, specialization_balance_loss
from engine.mixer.mix_file import load_mix, save_mix
from engine.mixer.router import NULL, Router

__all__ = [
    "NULL",
    "Router",
    "Routing",
    "RoutingWatch",
    "collapse",
    "entropy_band_loss",
    "load_mix",
    "routing",
    "save_mix",
    "specialization_balance_loss",
]
