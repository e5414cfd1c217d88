"""The look in one place: tokens, palette, style sheet, font, icons; follows the system as it changes.

Widgets read ``theme.tokens`` when they paint and repaint on ``theme.changed``; no colour is written
anywhere else.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import Literal

from PySide6.QtCore import QByteArray, QObject, QRectF, Qt, QTemporaryDir, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

__all__ = ["CONTRAST", "DARK", "LIGHT", "Choice", "Theme", "Tokens", "icon", "pixmap", "theme"]

RESOURCES = Path(__file__).resolve().parent.parent / "resources"
FAMILY = "Inter"

Choice = Literal["system", "light", "dark", "contrast"]


@dataclass(frozen=True)
class Tokens:
    """Every colour, size and duration of one scheme. Colours are ``#rrggbb``, sizes pixels.

    ``ground`` lies behind panels, ``surface`` is a panel, ``raised`` is what can be typed into or picked up,
    ``off`` are words of what cannot be used now.
    ``experts`` are the colours of Okabe and Ito in their fixed order, shifted until each stands out from the
    surfaces of its scheme by 3:1; ``null`` is the expert that says nothing.
    """

    name: str
    ground: str
    surface: str
    raised: str
    line: str
    edge: str
    off: str
    text: str
    text_dim: str
    accent: str
    on_accent: str
    focus: str
    good: str
    warn: str
    bad: str
    experts: tuple[str, str, str, str, str, str, str, str]
    null: str
    tiny: int = 12
    small: int = 13
    body: int = 15
    heading: int = 20
    display: int = 28
    radius: int = 6
    grid: int = 8
    motion_ms: int = 120


LIGHT = Tokens(
    name="light",
    ground="#f3f3f1",
    surface="#fafaf8",
    raised="#ffffff",
    line="#dcdcd7",
    edge="#85878a",
    off="#85878a",
    text="#1a1b1e",
    text_dim="#5a5d63",
    accent="#3f4fc4",
    on_accent="#ffffff",
    focus="#3f4fc4",
    good="#18733f",
    warn="#8a5700",
    bad="#b3261e",
    experts=("#b97a00", "#1f8fcb", "#008f68", "#8c8300", "#005f99", "#cc4400", "#b75a8f", "#34373c"),
    null="#85878a",
)

DARK = Tokens(
    name="dark",
    ground="#131417",
    surface="#1a1c20",
    raised="#24262b",
    line="#33363c",
    edge="#787c84",
    off="#787c84",
    text="#eceded",
    text_dim="#a4a8af",
    accent="#98a4ff",
    on_accent="#12142a",
    focus="#b3bcff",
    good="#5cc98a",
    warn="#e8b44f",
    bad="#ff8f85",
    experts=("#e69f00", "#6fc3f2", "#19b388", "#f0e442", "#3a90d6", "#ee7330", "#d98bb7", "#e8e8e8"),
    null="#7b7f87",
)

CONTRAST = Tokens(
    name="contrast",
    ground="#000000",
    surface="#000000",
    raised="#101010",
    line="#b8b8b8",
    edge="#ffffff",
    off="#8c8c8c",
    text="#ffffff",
    text_dim="#e4e4e4",
    accent="#ffd83d",
    on_accent="#000000",
    focus="#35e0ff",
    good="#62f09a",
    warn="#ffc24d",
    bad="#ff9d94",
    experts=("#ffb31a", "#86d3ff", "#2fe0ac", "#fff25c", "#5aaef5", "#ff8a47", "#f2a3d0", "#ffffff"),
    null="#a9a9a9",
)

SCHEMES = {scheme.name: scheme for scheme in (LIGHT, DARK, CONTRAST)}


class Theme(QObject):
    """The scheme in use. ``changed`` comes after palette, style sheet and icons have been replaced.

    Attributes: ``tokens`` (the scheme), ``choice`` (what the person picked), ``motion_reduced``.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.tokens = LIGHT
        self.choice: Choice = "system"
        self.motion_reduced = False
        self._app: QApplication | None = None
        self._drawings = QTemporaryDir()

    def start(self, app: QApplication) -> None:
        """Dress ``app`` and follow the system from now on. A second call for the same one does nothing."""
        if self._app is app:
            return
        self._app = app
        for file in sorted((RESOURCES / "fonts").glob("*.otf")):
            QFontDatabase.addApplicationFont(str(file))
        app.setStyle("Fusion")
        app.setFont(self.font())
        hints = app.styleHints()
        hints.colorSchemeChanged.connect(self._refresh)
        hints.accessibility().contrastPreferenceChanged.connect(self._refresh)
        self._dress(replace(self._scheme(), motion_ms=0 if self.motion_reduced else LIGHT.motion_ms))

    def choose(self, choice: Choice) -> None:
        """Follow the system, or stay with one scheme."""
        if choice != "system" and choice not in SCHEMES:
            raise ValueError(f"There is no theme called {choice!r}; choose system, light, dark or contrast.")
        self.choice = choice
        self._refresh()

    def reduce_motion(self, reduced: bool) -> None:
        """Let nothing move on its own: every ``motion_ms`` becomes 0."""
        self.motion_reduced = reduced
        self._refresh()

    def font(self, size: int = 13, *, strong: bool = False) -> QFont:
        """The bundled font at ``size`` pixels, its figures all of one width so that numbers do not dance."""
        font = QFont(FAMILY)
        font.setPixelSize(size)
        font.setWeight(QFont.Weight.DemiBold if strong else QFont.Weight.Normal)
        font.setFeature(QFont.Tag("tnum"), 1)
        return font

    def colour(self, token: str, alpha: float = 1.0) -> QColor:
        """A token's colour by name, ``alpha`` 0..1."""
        colour = QColor(getattr(self.tokens, token))
        colour.setAlphaF(alpha)
        return colour

    def expert(self, slot: int, alpha: float = 1.0) -> QColor:
        """The colour of the expert in ``slot``; the ninth wears the first again, with a pattern."""
        colour = QColor(self.tokens.experts[slot % len(self.tokens.experts)])
        colour.setAlphaF(alpha)
        return colour

    def _refresh(self) -> None:
        tokens = replace(self._scheme(), motion_ms=0 if self.motion_reduced else LIGHT.motion_ms)
        if tokens != self.tokens:
            self._dress(tokens)
            self.changed.emit()

    def _scheme(self) -> Tokens:
        if self.choice != "system":
            return SCHEMES[self.choice]
        return system_scheme(self._app) if self._app is not None else LIGHT

    def _dress(self, tokens: Tokens) -> None:
        self.tokens = tokens
        if self._app is not None:
            self._app.setPalette(palette(tokens))
            self._app.setStyleSheet(style_sheet(tokens, Path(self._drawings.path())))


theme = Theme()


def system_scheme(app: QApplication) -> Tokens:
    """What the system asks for now."""
    hints = app.styleHints()
    if hints.accessibility().contrastPreference() == Qt.ContrastPreference.HighContrast:
        return CONTRAST
    return DARK if hints.colorScheme() == Qt.ColorScheme.Dark else LIGHT


def palette(tokens: Tokens) -> QPalette:
    """The tokens as Qt's own roles, for everything the style sheet does not name."""
    role = QPalette.ColorRole
    roles = {
        role.Window: tokens.ground,
        role.WindowText: tokens.text,
        role.Base: tokens.raised,
        role.AlternateBase: tokens.surface,
        role.Text: tokens.text,
        role.Button: tokens.raised,
        role.ButtonText: tokens.text,
        role.BrightText: tokens.on_accent,
        role.Highlight: tokens.accent,
        role.HighlightedText: tokens.on_accent,
        role.Accent: tokens.accent,
        role.Link: tokens.accent,
        role.LinkVisited: tokens.accent,
        role.ToolTipBase: tokens.raised,
        role.ToolTipText: tokens.text,
        role.PlaceholderText: tokens.text_dim,
        role.Light: tokens.raised,
        role.Midlight: tokens.surface,
        role.Mid: tokens.line,
        role.Dark: tokens.edge,
        role.Shadow: tokens.ground,
    }
    filled = QPalette()
    for entry, colour in roles.items():
        filled.setColor(entry, QColor(colour))
    for entry in (role.WindowText, role.Text, role.ButtonText):
        filled.setColor(QPalette.ColorGroup.Disabled, entry, QColor(tokens.off))
    return filled


def style_sheet(tokens: Tokens, drawings: Path) -> str:
    """The one style sheet, ``resources/theme/studio.qss``, with its ``$tokens`` filled in.

    A style sheet can name a picture only by its file, so the few it needs are tinted into ``drawings``.
    """
    words = {name: str(value) for name, value in asdict(tokens).items() if name != "experts"}
    for name, colour in (("down", tokens.text_dim), ("up", tokens.text_dim), ("check", tokens.on_accent)):
        file = drawings / f"{name}-{tokens.name}.svg"
        file.write_text(_drawing(name, colour), encoding="utf-8")
        words[f"{name}_drawing"] = file.as_posix()
    return Template((RESOURCES / "theme" / "studio.qss").read_text(encoding="utf-8")).substitute(words)


def icon(name: str, token: str = "text") -> QIcon:
    """One of our drawings in a token's colour, ready for every size. Ask again on ``theme.changed``."""
    return _icon(name, getattr(theme.tokens, token), theme.tokens.off)


def pixmap(name: str, size: int, colour: str, ratio: float = 1.0) -> QPixmap:
    """A drawing of ``resources/icons`` ``size`` logical pixels high; ``currentColor`` becomes ``colour``."""
    return _pixmap(name, size, colour, ratio)


def _drawing(name: str, colour: str) -> str:
    return (RESOURCES / "icons" / f"{name}.svg").read_text(encoding="utf-8").replace("currentColor", colour)


@lru_cache(maxsize=512)
def _pixmap(name: str, size: int, colour: str, ratio: float) -> QPixmap:
    drawing = QSvgRenderer(QByteArray(_drawing(name, colour).encode()))
    wide = drawing.defaultSize().width() / drawing.defaultSize().height()
    picture = QPixmap(round(size * wide * ratio), round(size * ratio))
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    drawing.render(painter, QRectF(0, 0, picture.width(), picture.height()))
    painter.end()
    picture.setDevicePixelRatio(ratio)
    return picture


@lru_cache(maxsize=256)
def _icon(name: str, colour: str, disabled: str) -> QIcon:
    filled = QIcon()
    for ratio in (1.0, 2.0):
        for size in (16, 20, 24, 32):
            filled.addPixmap(_pixmap(name, size, colour, ratio), QIcon.Mode.Normal)
            filled.addPixmap(_pixmap(name, size, disabled, ratio), QIcon.Mode.Disabled)
    return filled
