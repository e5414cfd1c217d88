"""What the engine's log does not say: what comes behind the "?" of an address, where downloads are signed."""

from __future__ import annotations

import logging
import re

__all__ = ["QuietFormatter"]

_QUERY = re.compile(r"(\bhttps?://[^\s?\"'<>]+)\?[^\s\"'<>]*")


class QuietFormatter(logging.Formatter):
    """Writes addresses without their queries, whoever logs them, in tracebacks too."""

    def format(self, record: logging.LogRecord) -> str:
        return _QUERY.sub(r"\1?...", super().format(record))
