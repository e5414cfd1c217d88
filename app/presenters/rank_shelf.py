"""Which adapters of the library may stand on the ranks page, and what became of one that stood there."""

from __future__ import annotations

from app.presenters.notice import Notice
from app.presenters.stock import Stock
from engine.messages import AdapterCard

__all__ = ["RankShelf"]


class RankShelf:
    """What ``stock`` has that can be heard on a base."""

    def __init__(self, stock: Stock) -> None:
        self._stock = stock
        self._files: dict[str, str] = {}

    def playable(self, base: str) -> tuple[AdapterCard, ...]:
        """The adapters that can be heard on ``base``."""
        return tuple(card for card in self._stock.adapters.values() if not self.why_not(card, base))

    def why_not(self, card: AdapterCard, base: str) -> str:
        """Why an adapter cannot be heard on ``base``, "" where it can."""
        fit = self._stock.fits.get(card.name)
        if card.missing:
            return f"The files of {card.name} are gone."
        if fit is not None:
            return f"{card.name} does not fit {base}. {fit.reason}" if fit.verdict == "red" else ""
        return (
            f"{card.name} was made for {card.base or 'another base'}." if base and card.base != base else ""
        )

    def find(self, name: str, base: str) -> AdapterCard | None:
        """The adapter of that name, or the one that has the files which were found under it the last time: an
        adapter may be given another name."""
        cards = {card.name: card for card in self.playable(base)}
        files = self._files.get(name)
        twins = [card for card in cards.values() if files and card.sha256 == files]
        card = cards.get(name) or next(iter(twins), None)
        if card is not None:
            self._files[card.name] = card.sha256
        return card

    def farewell(
        self, name: str, before: AdapterCard | None, card: AdapterCard | None, base: str
    ) -> Notice | None:
        """What to say where ``card`` has come into the place of ``before``, though it is ``name`` that a hand
        has chosen; None where nothing has."""
        if before is None or before.name != name or (card is not None and card.name == name):
            return None
        left = f"{name} is no longer in the library"
        if card is not None:
            return Notice("info", f"{left}; {card.name} has the same files.")
        now = self._stock.adapters.get(name)
        if now is not None:
            return Notice("warn", self.why_not(now, base), "Choose another adapter.")
        return Notice("info", f"{left}.", "Bring it back there, or choose another adapter.")
