"""What the studio takes on the disk, and the trash."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.commands.session import plain, session, table
from engine.formats.sizes import as_size
from engine.messages import DiskUse, EmptyTrash, MeasureDisk

__all__ = ["disk", "trash"]

trash = typer.Typer(no_args_is_help=True, help="What was removed.")


def disk() -> None:
    """What the studio takes on the disk, item by item, the largest first."""
    use = _measure()
    rows = [(item.place, item.name, as_size(item.bytes), item.path) for item in use.items]
    free = f"{as_size(use.free)} of {as_size(use.total)} are free."
    session.result(plain(use), f"{table(('place', 'name', 'size', 'path'), rows)}\n{free}")


def _measure() -> DiskUse:
    with session.engine() as engine:
        use: DiskUse = engine.call(MeasureDisk())
    return use


@trash.command("list")
def list_trash() -> None:
    """What was removed and can still be brought back."""
    items = [item for item in _measure().items if item.place == "trash"]
    rows = [(item.name, as_size(item.bytes), item.path) for item in items]
    text = table(("item", "size", "path"), rows) or "The trash is empty."
    session.result({"items": [plain(item) for item in items]}, text)


@trash.command()
def empty(
    item: Annotated[list[str] | None, typer.Argument(help="KIND/NAME, as listed; default: all.")] = None,
) -> None:
    """Delete for good what was removed."""
    before = {one.path: one.bytes for one in _measure().items if one.place == "trash"}
    with session.engine() as engine:
        engine.call(EmptyTrash(items=item or []))
    left = {one.path for one in _measure().items if one.place == "trash"}
    freed = sum(size for path, size in before.items() if path not in left)
    gone = len(before.keys() - left)
    session.result(
        {"removed": gone, "bytes": freed},
        f"{gone} item{'s' * (gone != 1)} deleted for good, {as_size(freed)}.",
    )
