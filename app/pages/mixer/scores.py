"""The score page: what to score the mix with on the left, what came of it on the right."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSplitter, QStackedWidget, QVBoxLayout, QWidget

from app.pages.mixer.scores_plan import PlanPanel
from app.pages.mixer.scores_result import ResultPanel
from app.pages.mixer.view import View
from app.presenters.mixer import Mixer
from app.presenters.scores import Scores
from engine.messages import MixCard
from widgets.empty import Empty

__all__ = ["ScoresView"]


class ScoresView(View):
    """Score the mix on the desk beside every honest alternative."""

    def __init__(self, mixer: Mixer) -> None:
        super().__init__()
        self.setObjectName("mixer.scores")
        self._mixer = mixer
        self.scores = Scores(mixer.client, mixer.stock, self._desk, self)
        self.scores.noticed.connect(mixer.noticed)
        self.scores.announced.connect(mixer.announced)
        self.plan = PlanPanel(mixer, self.scores)
        self.result = ResultPanel(self.scores)
        self._compose()
        mixer.desk_changed.connect(self.scores.changed)
        self.scores.changed.connect(self._show)
        self._show()

    def regions(self) -> list[QWidget]:
        return [self.plan, self.result.chart, self.result.table]

    def acts(self) -> list[tuple[str, str, Callable[[], object]]]:
        return [
            ("Score the mix", "Ctrl+R", self.scores.score),
            ("Copy the scores as Markdown", "", self.result.copy_markdown),
            ("Copy the scores as CSV", "", self.result.copy_csv),
            ("Add a test file", "", self.plan.choose_file),
        ]

    def _desk(self) -> tuple[MixCard | None, int, str, dict[str, int]]:
        desk = self._mixer.desk
        return self._mixer.mix, desk.router.top_k, desk.data, self._mixer.ranks_of_mix

    def _compose(self) -> None:
        self._empty = Empty("mixer", "", "", "Go to the desk", "mixer.scores.empty", self)
        self._empty.pressed.connect(self.desk_wanted)
        self._stack = QStackedWidget()
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self.result)
        split = QSplitter(Qt.Orientation.Horizontal, objectName="mixer.split.scores")
        split.setChildrenCollapsible(False)
        split.addWidget(self.plan)
        split.addWidget(self._stack)
        split.setStretchFactor(1, 1)
        split.setSizes([312, 900])
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(split)

    def _show(self) -> None:
        has_result = self.scores.standings is not None
        self._stack.setCurrentIndex(1 if has_result else 0)
        self._empty.button.setVisible(self.scores.mix is None)
        if self.scores.mix is None:
            self._empty.say(
                "No mix on the desk",
                "A score sets a mix beside the base, each expert and other ways of combining them. "
                "Open a mix on the left, or train a router on the desk.",
            )
        elif self.scores.job is not None and not has_result:
            self._empty.say(
                f"{self.scores.mix.name} is being scored",
                "The table and the picture come when every arm has answered. Stop and keep shows those that "
                "have answered by then.",
            )
        elif not has_result:
            self._empty.say(
                f"{self.scores.mix.name} has not been scored",
                "Every arm answers the same rows. The result is a table and a picture with intervals, "
                "and stays here for this mix.",
            )
