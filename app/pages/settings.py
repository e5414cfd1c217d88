"""The settings page: look, account on the Hub, engine, home folder, the doctor, and what this program is."""

from __future__ import annotations

import os
from typing import get_args

from PySide6.QtCore import QSettings, Qt
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.client import Client
from app.launch import ENGINE_THREADS, KEEP_ENGINE
from app.pages.page import Page
from app.pages.sign_in import KEPT, AccountButton
from app.presenters.account import Account
from app.presenters.settings import Settings
from engine.messages import Check
from widgets.icon_button import WordButton
from widgets.number_field import whole_field
from widgets.reveal import reveal
from widgets.theme import Choice, pixmap, theme
from widgets.verdict import Verdict

__all__ = ["SettingsPage"]

WORDS = {"system": "As the system", "light": "Light", "dark": "Dark", "contrast": "High contrast"}
NAMES = {"gpu": "GPU", "sqlite": "SQLite"}
WIDTH = 760


class SettingsPage(Page):
    """Every choice takes effect at once and is written to the window's own file in the home."""

    def __init__(
        self, client: Client, account: Account, store: QSettings, parent: QWidget | None = None
    ) -> None:
        super().__init__("settings", "Settings", parent)
        self._store = store
        self._account = account
        self.settings = Settings(client, self)
        self.settings.changed.connect(self._show_state)
        self.settings.noticed.connect(self.noticed)
        account.changed.connect(self._show_account)
        self._build()
        self._show_state()
        self._show_account()

    def regions(self) -> list[QWidget]:
        return [self._look, self._hub, self._engine, self._doctor, self._about]

    def _build(self) -> None:
        sheet = QWidget(self)
        sheet.setMaximumWidth(WIDTH)
        column = QVBoxLayout(sheet)
        column.setContentsMargins(24, 24, 24, 24)
        column.setSpacing(24)
        self._look = self._section("Look", self._look_rows())
        self._hub = self._section("Hub", self._hub_rows())
        grid = self._hub.layout()
        grid.addWidget(self._trouble, grid.rowCount(), 0, 1, 2)
        self._engine = self._section("Engine", self._engine_rows())
        self._doctor = self._doctor_section()
        self._about = self._about_section()
        for section in (self._look, self._hub, self._engine, self._doctor, self._about):
            column.addWidget(section)
        column.addStretch(1)
        area = QScrollArea(self, widgetResizable=True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        holder = QWidget(area)
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(sheet)
        row.addStretch(1)
        area.setWidget(holder)
        page = QVBoxLayout(self)
        page.setContentsMargins(0, 0, 0, 0)
        page.addWidget(area)

    # --- the sections ---

    def _section(self, title: str, rows: list[tuple[str, str, QWidget]]) -> QWidget:
        section = QWidget(self)
        grid = QGridLayout(section)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(12)
        grid.setColumnStretch(0, 1)
        grid.setColumnMinimumWidth(0, 280)
        heading = QLabel(title, section)
        heading.setProperty("role", "heading")
        grid.addWidget(heading, 0, 0, 1, 2)
        line = QFrame(section)
        line.setProperty("role", "line")
        grid.addWidget(line, 1, 0, 1, 2)
        for place, (words, why, control) in enumerate(rows, start=2):
            told = QLabel(words, section)
            hint = QLabel(why, section, wordWrap=True)
            hint.setProperty("role", "tiny")
            text = QVBoxLayout()
            text.setSpacing(2)
            text.addWidget(told)
            text.addWidget(hint)
            grid.addLayout(text, place, 0)
            grid.addWidget(control, place, 1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return section

    def _look_rows(self) -> list[tuple[str, str, QWidget]]:
        choices = QWidget(self)
        row = QHBoxLayout(choices)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        group = QButtonGroup(self)
        for choice in get_args(Choice):
            button = QPushButton(WORDS[choice], choices, objectName=f"theme-{choice}", checkable=True)
            button.setAccessibleName(f"Theme: {WORDS[choice]}")
            button.setProperty("role", "choice")
            button.setChecked(choice == theme.choice)
            button.clicked.connect(lambda _=False, choice=choice: self._choose_theme(choice))
            group.addButton(button)
            row.addWidget(button)
        motion = QCheckBox("", self, objectName="reduced-motion", accessibleName="Reduce motion")
        motion.setChecked(theme.motion_reduced)
        motion.toggled.connect(self._reduce_motion)
        return [
            ("Theme", "Light, dark and contrast can follow the system.", choices),
            ("Reduce motion", "Nothing moves on its own.", motion),
        ]

    def _hub_rows(self) -> list[tuple[str, str, QWidget]]:
        self._who = AccountButton(self._account, "settings-account", self)
        self._who.setProperty("role", "")
        self._leave = QPushButton("Sign out", self, objectName="settings-sign-out")
        self._leave.setAccessibleName("Sign out of the Hub")
        self._leave.clicked.connect(self._account.sign_out)
        self._kept, self._endpoint = _value(self), _value(self)
        self._kept.setWordWrap(True)
        self._kept.setMinimumWidth(280)
        self._trouble = Verdict(self)
        self._trouble.setObjectName("settings-hub-trouble")
        account = QWidget(self)
        row = QHBoxLayout(account)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._who)
        row.addWidget(self._leave)
        return [
            ("Account", "Needed for private and gated repositories, and to publish.", account),
            ("Token", "Where it is kept. It is never written to a log, nor sent anywhere else.", self._kept),
            ("Address", "Another one, a mirror say, is set with HF_ENDPOINT.", self._endpoint),
        ]

    def _engine_rows(self) -> list[tuple[str, str, QWidget]]:
        threads = whole_field("engine-threads", "Engine threads", 1, os.cpu_count() or 1)
        threads.setValue(int(self._store.value(ENGINE_THREADS, 1)))
        threads.setMinimumWidth(96)
        threads.valueChanged.connect(lambda number: self._store.setValue(ENGINE_THREADS, number))
        keep = QCheckBox("", self, objectName="keep-engine", accessibleName="Keep the engine running")
        keep.setChecked(self._store.value(KEEP_ENGINE, False, bool))
        keep.toggled.connect(lambda on: self._store.setValue(KEEP_ENGINE, on))
        self._home = _value(self)
        self._show_home = WordButton("folder", "Show folder", "show-home", self)
        self._show_home.clicked.connect(self._open_home)
        home = QWidget(self)
        row = QHBoxLayout(home)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._home)
        row.addWidget(self._show_home)
        return [
            ("Threads", "For training and answers, from the engine's next start.", threads),
            (
                "Keep the engine running when the window closes",
                "Also when nothing runs; while a training runs it always stays.",
                keep,
            ),
            ("Home folder", "Library, jobs, logs and settings lie here.", home),
        ]

    def _doctor_section(self) -> QWidget:
        again = QPushButton("Check again", self, objectName="doctor-again", accessibleName="Check again")
        again.clicked.connect(self.settings.examine)
        self._again = again
        section = self._section("What works here", [])
        grid = section.layout()
        grid.addWidget(again, 0, 1, Qt.AlignmentFlag.AlignRight)
        self._checks = QVBoxLayout()
        self._checks.setSpacing(12)
        grid.addLayout(self._checks, 2, 0, 1, 2)
        return section

    def _about_section(self) -> QWidget:
        section = self._section("About", [])
        self._name_mark = QLabel(section)
        self._version = QLabel(section)
        self._version.setProperty("role", "dim")
        words = QLabel(
            "Apache License 2.0. The font is Inter, under the SIL Open Font License 1.1; Qt is used under "
            "the LGPL 3 through PySide6.",
            section,
            wordWrap=True,
        )
        words.setProperty("role", "dim")
        for place, label in enumerate((self._name_mark, self._version, words), start=2):
            section.layout().addWidget(label, place, 0, 1, 2)
        theme.changed.connect(self._tint)
        self._tint()
        return section

    # --- acting and showing ---

    def _choose_theme(self, choice: Choice) -> None:
        theme.choose(choice)
        self._store.setValue("theme", choice)

    def _reduce_motion(self, reduced: bool) -> None:
        theme.reduce_motion(reduced)
        self._store.setValue("reduced-motion", reduced)

    def _tint(self) -> None:
        mark = pixmap("name", 40, theme.tokens.text, self.devicePixelRatioF())
        self._name_mark.setPixmap(mark)
        self._name_mark.setAccessibleName("Adapter Studio")

    def _open_home(self) -> None:
        reveal(self.settings.state.home)

    def _show_account(self) -> None:
        state = self._account.state
        account = state.account
        self._who.setVisible(not account.name)
        self._leave.setVisible(bool(account.name))
        self._leave.setText(f"Sign out {account.name}")
        self._leave.setEnabled(account.kept != "elsewhere")
        self._leave.setToolTip(KEPT["elsewhere"] if account.kept == "elsewhere" else "")
        nowhere = "No token is kept." if state.known else "Asking"
        self._kept.setText(KEPT[account.kept] or nowhere)
        self._endpoint.setText(account.endpoint)
        self._trouble.setVisible(bool(account.problem))
        self._trouble.say("warn", account.problem)

    def _show_state(self) -> None:
        state = self.settings.state
        self._home.setText(state.home)
        self._show_home.setEnabled(bool(state.home))
        self._version.setText(f"Version {state.version}" if state.version else "")
        self._again.setEnabled(not state.examining)
        self._again.setText("Checking" if state.examining else "Check again")
        while entry := self._checks.takeAt(0):
            entry.widget().deleteLater()
        for check in state.checks:
            self._checks.addWidget(_line(check, self))
        if state.examining and not state.checks:
            looking = QLabel("Looking at this machine", self)
            looking.setProperty("role", "dim")
            self._checks.addWidget(looking)


def _value(parent: QWidget) -> QLabel:
    label = QLabel(parent, textFormat=Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return label


def _line(check: Check, parent: QWidget) -> QWidget:
    line = QWidget(parent)
    column = QVBoxLayout(line)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(2)
    verdict = Verdict(line, quiet=True)
    verdict.say(
        "good" if check.ok else "warn", f"{NAMES.get(check.name, check.name.capitalize())}: {check.detail}"
    )
    column.addWidget(verdict)
    if check.hint and not check.ok:
        hint = QLabel(check.hint, line, wordWrap=True)
        hint.setProperty("role", "tiny")
        hint.setContentsMargins(26, 0, 0, 0)
        column.addWidget(hint)
    return line
