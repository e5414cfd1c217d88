"""The numbers of a file, looked at without torch: NaN and infinity in every format, zeros, and sameness."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from engine.formats.errors import AdapterError
from engine.formats.numbers import look_at_numbers

FLOATS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}


def written(folder, name="a.safetensors", metadata=None, **tensors):
    save_file(tensors, folder / name, metadata)
    return folder / name


def of(dtype, *values):
    return torch.tensor(values, dtype=torch.float64).to(FLOATS[dtype])


@pytest.mark.parametrize("dtype", FLOATS)
def test_every_format_knows_its_numbers(tmp_path, dtype):
    facts = torch.finfo(FLOATS[dtype])
    path = written(tmp_path, ends=of(dtype, facts.max, facts.min), tiny=of(dtype, 0, facts.smallest_normal))
    seen = look_at_numbers(path)
    assert seen.broken == () and seen.silent == frozenset()


NONE = [(dtype, value) for dtype in FLOATS for value in ("nan", "inf", "-inf")]


@pytest.mark.parametrize(
    ("dtype", "value"), [case for case in NONE if case[0] != "F8_E4M3" or case[1] == "nan"]
)
def test_what_is_no_number_is_found(tmp_path, dtype, value):
    path = written(tmp_path, good=torch.ones(4), bad=of(dtype, 1, 1, float(value)))
    assert look_at_numbers(path).broken == ("bad",)


@pytest.mark.parametrize("dtype", FLOATS)
def test_zeros_of_both_signs_are_silent(tmp_path, dtype):
    zeros = torch.tensor([0.0, -0.0, 0.0]).to(FLOATS[dtype])
    seen = look_at_numbers(written(tmp_path, quiet=zeros, loud=torch.ones(2)))
    assert seen.silent == {"quiet"}


def test_the_last_number_of_a_large_tensor_counts(tmp_path):
    large = torch.zeros(3 << 18)  # three chunks
    large[-1] = float("nan")
    assert look_at_numbers(written(tmp_path, large=large)).broken == ("large",)


def test_the_same_tensors_have_one_digest_whatever_the_file(tmp_path):
    a, b = torch.randn(4, 3), torch.randn(5)
    first = look_at_numbers(written(tmp_path, "1.safetensors", {"format": "pt"}, a=a, b=b)).digest
    again = look_at_numbers(written(tmp_path, "2.safetensors", {"made": "elsewhere"}, b=b, a=a)).digest
    other = look_at_numbers(written(tmp_path, "3.safetensors", None, a=a + 1e-7, b=b)).digest
    turned = look_at_numbers(written(tmp_path, "4.safetensors", None, a=a.T.contiguous(), b=b)).digest
    assert first == again and len({first, other, turned}) == 3


def test_a_damaged_file_is_a_sentence(tmp_path):
    path = written(tmp_path, a=torch.ones(4))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(AdapterError, match="cut off"):
        look_at_numbers(path)


def test_memory_stays_small(tmp_path):
    """A file of 64 MB is read within 16 MB, numpy not counted."""
    path = written(tmp_path, a=torch.ones(16 << 20))
    script = (
        "import numpy, resource, sys; from pathlib import Path\n"
        "from engine.formats.numbers import look_at_numbers\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "look_at_numbers(Path(sys.argv[1]))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 16 << 20
