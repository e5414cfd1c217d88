"""The theme: legible in every scheme, replaced live, and the only place where a colour is written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFontDatabase, QFontInfo, QFontMetrics, QPalette
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from widgets.icon_button import IconButton
from widgets.theme import CONTRAST, DARK, FAMILY, LIGHT, RESOURCES, Tokens, icon, pixmap, theme

ROOT = RESOURCES.parent
SCHEMES = pytest.mark.parametrize("tokens", [LIGHT, DARK, CONTRAST], ids=lambda tokens: tokens.name)


def luminance(colour: str) -> float:
    parts = [channel / 255 for channel in QColor(colour).getRgb()[:3]]
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG 2: 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@SCHEMES
def test_text_can_be_read_on_every_surface(tokens: Tokens) -> None:
    for surface in (tokens.ground, tokens.surface, tokens.raised):
        for ink in (tokens.text, tokens.text_dim, tokens.good, tokens.warn, tokens.bad):
            assert contrast(ink, surface) >= 4.5, (ink, surface)
    assert contrast(tokens.on_accent, tokens.accent) >= 4.5


@SCHEMES
def test_data_focus_and_edges_stand_out_from_every_surface(tokens: Tokens) -> None:
    for surface in (tokens.ground, tokens.surface, tokens.raised):
        for mark in (*tokens.experts, tokens.null, tokens.focus, tokens.edge, tokens.accent):
            assert contrast(mark, surface) >= 3.0, (mark, surface)


@SCHEMES
def test_what_cannot_be_used_looks_so_and_can_be_read(tokens: Tokens) -> None:
    assert contrast(tokens.text, tokens.off) >= 2.5
    assert all(
        contrast(tokens.off, surface) >= 3.0 for surface in (tokens.ground, tokens.surface, tokens.raised)
    )


@SCHEMES
def test_experts_can_be_told_apart(tokens: Tokens) -> None:
    def distance(one: str, other: str) -> float:
        pairs = zip(QColor(one).getRgb()[:3], QColor(other).getRgb()[:3], strict=True)
        return sum((a - b) ** 2 for a, b in pairs) ** 0.5

    colours = (*tokens.experts, tokens.null)
    near = [(a, b) for a in colours for b in colours if a < b and distance(a, b) < 40]
    assert near == []


def test_a_choice_reaches_palette_style_sheet_and_icons_at_once(dressed: QApplication, qtbot: QtBot) -> None:
    button = IconButton("play", "Play", "play")
    qtbot.addWidget(button)
    before = button.icon().pixmap(20, 20).toImage()
    with qtbot.waitSignal(theme.changed):
        theme.choose("dark")
    assert dressed.palette().color(QPalette.ColorRole.Window) == QColor(DARK.ground)
    assert DARK.ground in dressed.styleSheet()
    assert button.icon().pixmap(20, 20).toImage() != before


def test_the_system_is_followed_live(dressed: QApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    theme.choose("system")
    # The off-screen platform has no system behind it that could turn dark: stand in for its answer alone.
    monkeypatch.setattr("widgets.theme.system_scheme", lambda app: DARK)
    dressed.styleHints().colorSchemeChanged.emit(Qt.ColorScheme.Dark)
    assert theme.tokens.name == "dark"
    monkeypatch.undo()
    dressed.styleHints().colorSchemeChanged.emit(Qt.ColorScheme.Light)
    assert theme.tokens.name == "light"


def test_an_explicit_choice_does_not_follow_the_system(
    dressed: QApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    theme.choose("contrast")
    monkeypatch.setattr("widgets.theme.system_scheme", lambda app: DARK)
    dressed.styleHints().colorSchemeChanged.emit(Qt.ColorScheme.Dark)
    assert theme.tokens.name == "contrast"


def test_reduced_motion_stops_every_motion(dressed: QApplication) -> None:
    assert theme.tokens.motion_ms == 120
    theme.reduce_motion(True)
    assert theme.tokens.motion_ms == 0


def test_an_unknown_theme_is_refused(dressed: QApplication) -> None:
    with pytest.raises(ValueError, match="choose system, light, dark or contrast"):
        theme.choose("sepia")  # type: ignore[arg-type]


def test_the_font_is_ours_and_its_figures_are_all_of_one_width(dressed: QApplication) -> None:
    assert FAMILY in QFontDatabase.families()
    font = theme.font(13)
    assert QFontInfo(font).family() == FAMILY
    metrics = QFontMetrics(font)
    assert {metrics.horizontalAdvance(figure * 10) for figure in "0123456789"} == {
        metrics.horizontalAdvance("0" * 10)
    }


def test_every_drawing_can_be_drawn(dressed: QApplication) -> None:
    for file in sorted((RESOURCES / "icons").glob("*.svg")):
        picture = pixmap(file.stem, 24, theme.tokens.text).toImage()
        painted = any(picture.pixelColor(x, y).alpha() for x in range(24) for y in range(24))
        assert painted, file.name
    assert not icon("library").isNull()


def test_every_drawing_is_used() -> None:
    code = "".join(path.read_text() for room in ("app", "widgets") for path in (ROOT / room).rglob("*.py"))
    unused = [
        file.stem
        for file in (RESOURCES / "icons").glob("*.svg")
        if not re.search(rf"[\"']{file.stem}[\"'.]", code)
    ]
    assert unused == []


def test_no_colour_is_written_outside_the_theme() -> None:
    literal = re.compile(r"[\"']#[0-9a-fA-F]{3,8}[\"']|QColor\(\s*\d|Qt\.GlobalColor\.(?!transparent)")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for room in ("app", "widgets")
        for path in (ROOT / room).rglob("*.py")
        if path.name != "theme.py"
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if literal.search(line)
    ]
    sheet = (Path(RESOURCES) / "theme" / "studio.qss").read_text()
    assert found == []
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b", sheet)
