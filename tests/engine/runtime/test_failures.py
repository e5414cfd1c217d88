"""Whatever is raised becomes a sentence."""

import torch

from engine.formats.errors import DataError
from engine.runtime.failures import explain


def test_each_kind_has_its_words():
    assert explain(DataError("Line 3 is empty.", "Fill it.")).message == "Line 3 is empty."
    for error in (
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("can't allocate memory"),
    ):
        assert "not enough memory" in explain(error).message
    strange = explain(KeyError("x"))
    assert strange.code == "failed"
    assert strange.hint
    assert "KeyError" in strange.detail


def test_an_allocation_that_fails_is_understood():
    try:
        torch.empty(2**50)
    except RuntimeError as error:
        assert "not enough memory" in explain(error).message
    else:
        raise AssertionError("a petabyte was there")
