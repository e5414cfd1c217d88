"""Any exception as a sentence and a next step, at the border of the process."""

from __future__ import annotations

import torch

from engine.formats.errors import StudioError, unexpected
from engine.messages import Error

__all__ = ["explain"]

MEMORY_SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "CUDA_ERROR_OUT_OF_MEMORY")


def explain(error: BaseException) -> Error:
    """What a person reads about ``error``; the traceback stays behind the fold."""
    if isinstance(error, StudioError):
        return error.as_message()
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(sign in str(error) for sign in MEMORY_SIGNS)
    ):
        return Error(
            code="failed",
            message="There was not enough memory for this.",
            hint="Use smaller batches or a shorter text, or close other programs.",
            detail=unexpected(error).detail,
        )
    return unexpected(error).as_message()
