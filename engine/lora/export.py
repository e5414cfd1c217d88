"""Write an adapter's best columns as a PEFT folder: ``python -m engine.lora.export SOURCE TARGET RANK``."""

from __future__ import annotations

import sys

from engine.formats.errors import StudioError
from engine.lora import read_adapter, svd_order, write_adapter


def main(source: str, target: str, rank: str) -> None:
    """Order by energy (exact, see ``svd_order``) what has no order yet, then cut. A StudioError becomes the
    exit message."""
    try:
        adapter = read_adapter(source)
        ordered = svd_order(adapter) if adapter.kind == "lora" else adapter
        write_adapter(ordered, target, rank=int(rank))
    except StudioError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
