"""The one family of exceptions that crosses rooms on purpose: a sentence, a next step, and details."""

from __future__ import annotations

import traceback

from engine import messages

__all__ = ["AdapterError", "DataError", "StudioError", "unexpected"]


class StudioError(Exception):
    """Something a person should read.

    ``code`` is for machines (see ``messages.Error``), ``message`` a whole sentence, ``hint`` the next step,
    ``detail`` what goes behind the fold. They may quote strangers: what a terminal or a page would obey or
    turn round is written as an escape. Survives pickling and copying between processes and threads.
    """

    def __init__(self, code: str, message: str, hint: str = "", detail: str = "") -> None:
        message, hint, detail = _escaped(message), _escaped(hint), _escaped(detail, "\n\t")
        super().__init__(code, message, hint, detail)
        self.code = code
        self.message = message
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def as_message(self) -> messages.Error:
        """This error as it crosses a process border."""
        return messages.Error(code=self.code, message=self.message, hint=self.hint, detail=self.detail)


class AdapterError(StudioError):
    """An adapter that cannot be read, does not fit, or lands nowhere. ``code`` "refused": unsafe."""

    def __init__(self, message: str, hint: str = "", detail: str = "", code: str = "adapter") -> None:
        super().__init__(code, message, hint, detail)

    def __reduce__(self) -> tuple[type[AdapterError], tuple[str, str, str, str]]:
        return type(self), (self.message, self.hint, self.detail, self.code)


class DataError(StudioError):
    """A data file that cannot be used, with the line that is wrong."""

    def __init__(self, message: str, hint: str = "", detail: str = "") -> None:
        super().__init__("data", message, hint, detail)

    def __reduce__(self) -> tuple[type[DataError], tuple[str, str, str]]:
        return type(self), (self.message, self.hint, self.detail)


def _escaped(text: str, kept: str = "") -> str:
    """``text`` with control, direction and private characters and lone surrogates as \\x1b, \\u202e ..."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in kept else letter.encode("unicode_escape").decode()
        for letter in text
    )


def unexpected(error: BaseException) -> StudioError:
    """An error that nobody has thought of, for a person; the traceback stays behind the fold."""
    return StudioError(
        "failed",
        f"Something went wrong that should not: {type(error).__name__}.",
        "Try again; if it happens again, copy the details and report them.",
        "".join(traceback.format_exception(error)),
    )
