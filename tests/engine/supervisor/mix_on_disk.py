"""A mix as it lies on disk, written without torch: starter experts on one projection and an idle router."""

import shutil

import numpy
from safetensors.numpy import save_file

from engine.formats.files import sha256_file
from engine.formats.mix_file import EXPERTS, MIXER, ROUTER, Mix, encode_mix
from engine.supervisor.starter import STARTER

PLACE = "model.layers.0.self_attn.q_proj"


def write_mix(folder, name, experts, made="trained"):
    """Write it as the new ``folder``."""
    for expert in experts:
        shutil.copytree(STARTER / "adapters" / expert, folder / EXPERTS / expert)
    save_file({PLACE: numpy.zeros((2, len(experts) + 1, 128), numpy.float32)}, folder / ROUTER)
    files = [path for path in folder.rglob("*") if path.is_file()]
    mix = Mix(
        name=name,
        base="tiny",
        experts=list(experts),
        router_input="context",
        null_expert=True,
        temperature=1.0,
        modules=[PLACE],
        base_shape={PLACE: (128, 128)},
        sha256={path.relative_to(folder).as_posix(): sha256_file(path) for path in files},
        made=made,
    )
    (folder / MIXER).write_bytes(encode_mix(mix))
