"""The shelf's rows: what they say, what they carry, and that they obey Qt's rules for models."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from app.models.adapters import MIME
from app.models.shelf import Role, Shelf, Slip
from engine.messages import AdapterCard


def card(name: str, *, base: str = "starter-llama", missing: bool = False) -> AdapterCard:
    return AdapterCard(
        name=name,
        path=name,
        base=base,
        kind="lora",
        rank=4,
        alpha=8.0,
        targets=["q_proj"],
        tensors=2,
        bytes=10,
        source="starter",
        description=f"does {name}",
        missing=missing,
    )


@pytest.fixture
def shelf(qtmodeltester):
    shelf = Shelf()
    qtmodeltester.check(shelf)
    lie(shelf, "reverse")
    return shelf


def lie(shelf, *on_desk):
    cards = [card("reverse"), card("größer"), card("gone", missing=True)]
    strange = Slip(card("strange", base="other"), False, "strange was made for other.")
    shelf.show([*(Slip(each, each.name in on_desk) for each in cards), strange])


def test_rows_say_what_people_and_readers_need(shelf):
    facts = [shelf.index(row).data(Role.FACTS) for row in range(3)]
    assert facts == ["rank 4 · on desk", "rank 4", "files are gone"]
    assert shelf.index(0).data(Qt.ItemDataRole.AccessibleTextRole) == "reverse, rank 4 · on desk"
    assert shelf.index(0).data(Qt.ItemDataRole.AccessibleDescriptionRole) == "does reverse"


def test_what_cannot_go_onto_the_desk_says_why_and_cannot_be_dragged(shelf):
    strange = shelf.index(3)
    assert strange.data(Role.FACTS) == "does not fit"
    assert strange.data(Qt.ItemDataRole.ToolTipRole) == "strange was made for other."
    assert strange.data(Qt.ItemDataRole.AccessibleDescriptionRole) == "strange was made for other."
    assert not shelf.flags(strange) & Qt.ItemFlag.ItemIsDragEnabled


def test_a_dragged_row_carries_its_name(shelf):
    assert shelf.flags(shelf.index(1)) & Qt.ItemFlag.ItemIsDragEnabled
    assert bytes(shelf.mimeData([shelf.index(1)]).data(MIME).data()).decode() == "größer"


def test_only_rows_that_changed_say_so(shelf, qtbot):
    with qtbot.waitSignal(shelf.dataChanged) as changed:
        lie(shelf, "reverse", "größer")
    assert changed.args[0].row() == 1
    with qtbot.assertNotEmitted(shelf.dataChanged):
        lie(shelf, "reverse", "größer")
