"""What the studio takes on the disk, largest first, and the trash that can be emptied."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QListView, QVBoxLayout, QWidget

from app.models.others import DISK_NAMES, OthersRoles
from app.models.others import Disk as Rows
from app.pages.library.removal import SureDialog
from app.presenters.activity import Activity
from app.presenters.disk import Disk
from app.words import count, megabytes
from engine.messages import DiskItem
from widgets.facts import plain_label
from widgets.icon_button import WordButton
from widgets.job_row import JobDelegate
from widgets.reveal import reveal
from widgets.still import still

__all__ = ["DiskView"]

EVERYTHING = "Everything"


class DiskView(QWidget):
    """Follows ``disk``; jobs are called what ``activity`` calls them."""

    def __init__(self, disk: Disk, activity: Activity, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._disk = disk
        self._activity = activity
        self.rows = Rows(self._name_of, self)
        self.list = QListView(self, objectName="disk-items", accessibleName="What lies on the disk")
        self.list.setModel(self.rows)
        self.list.setItemDelegate(JobDelegate(OthersRoles.FACE, self.list))
        self.list.setUniformItemSizes(True)
        self.list.setMouseTracking(True)
        self._sum = plain_label()
        self._sum.setObjectName("disk-sum")
        self._show = WordButton("folder", "Show folder", "disk-show", self)
        self.place = QComboBox(self, objectName="disk-place", accessibleName="Show what is in")
        self.place.addItem(EVERYTHING, "")
        self._restore = WordButton("retry", "Bring back", "disk-restore", self)
        self._delete = WordButton("trash", "Delete for good", "disk-delete", self)
        self._empty = WordButton("trash", "Empty trash", "disk-empty", self)
        self._again = WordButton("retry", "Measure again", "disk-again", self)
        self._show.clicked.connect(self._show_folder)
        self.place.currentIndexChanged.connect(lambda _: self._show_state())
        self._restore.clicked.connect(self._bring_back)
        self._delete.clicked.connect(self.remove_chosen)
        self._empty.clicked.connect(lambda: self._ask(list(disk.state.trash)))
        self._again.clicked.connect(disk.measure)
        tools = QHBoxLayout()
        tools.setSpacing(8)
        tools.addWidget(self._sum, 1)
        tools.addWidget(still(self.place))
        for button in (self._show, self._restore, self._delete, self._empty, self._again):
            tools.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 16, 24, 0)
        column.setSpacing(8)
        column.addLayout(tools)
        column.addWidget(self.list, 1)
        disk.changed.connect(self._show_state)
        self.list.selectionModel().currentChanged.connect(lambda *_: self._show_verbs())
        self._show_state()

    def regions(self) -> list[QWidget]:
        return [self.place, self.list]

    def _name_of(self, item: DiskItem) -> str:
        match item.place:
            case "jobs":
                jobs = {job.id: job.name for job in self._activity.state.jobs}
                return jobs.get(item.name, f"Job {item.name[:8]}")
            case "trash":
                return item.name.partition("/")[2] or item.name
            case "data":
                return f"Data {item.name[:12]}"
        return item.name

    def _offer_places(self) -> None:
        """A filter by where things lie, with what that takes; the chosen place stays while it is there."""
        sums: dict[str, int] = {}
        for item in self._disk.state.items:
            sums[item.place] = sums.get(item.place, 0) + item.bytes
        offered = {"": EVERYTHING} | {
            place: f"{words}  {megabytes(sums[place])}"
            for place, words in DISK_NAMES.items()
            if place in sums
        }
        box = self.place
        if {box.itemData(at): box.itemText(at) for at in range(box.count())} != offered:
            now = box.currentData()
            with QSignalBlocker(box):
                box.clear()
                for place, words in offered.items():
                    box.addItem(words, place)
                box.setCurrentIndex(max(box.findData(now), 0))

    def _item(self) -> DiskItem | None:
        return self.rows.item(self.list.currentIndex())

    def _show_state(self) -> None:
        state = self._disk.state
        self._offer_places()
        place = self.place.currentData()
        self.rows.show([item for item in state.items if place in ("", item.place)])
        if self.rows.items and not self.list.currentIndex().isValid():
            self.list.setCurrentIndex(self.rows.index(0))
        if state.use is None:
            self._sum.setText("Measuring" if state.is_looking else "")
        else:
            taken = megabytes(sum(item.bytes for item in state.items))
            free, total = megabytes(state.use.free), megabytes(state.use.total)
            self._sum.setText(f"{taken} in {count(len(state.items), 'item')}; {free} of {total} are free")
        trash = sum(item.bytes for item in state.trash)
        self._empty.setText(f"Empty trash  {megabytes(trash)}" if state.trash else "Trash is empty")
        self._empty.setAccessibleName(self._empty.text())
        self._empty.setEnabled(bool(state.trash))
        self._again.setEnabled(not state.is_looking)
        self._show_verbs()

    def _show_verbs(self) -> None:
        item = self._item()
        self._show.setEnabled(item is not None)
        for button in (self._restore, self._delete):
            button.setVisible(item is not None and item.place == "trash")

    def _show_folder(self) -> None:
        item = self._item()
        if item is not None:
            reveal(item.path)

    def _bring_back(self) -> None:
        item = self._item()
        if item is not None:
            self._disk.restore(item)

    def remove_chosen(self) -> None:
        """Ask whether what is chosen is to be deleted for good; only of the trash."""
        item = self._item()
        if item is not None and item.place == "trash":
            self._ask([item])

    def _ask(self, items: list[DiskItem]) -> None:
        words = f"{count(len(items), 'item')}, {megabytes(sum(item.bytes for item in items))}. "
        sure = SureDialog(
            "disk-sure",
            "Delete for good?",
            f"{words}What is deleted here cannot be brought back.",
            "Delete for good",
            self,
        )
        sure.facts.fill({"Items": ", ".join(self._name_of(item) for item in items[:12])})
        sure.accepted.connect(lambda: self._disk.delete(tuple(items)))
        sure.open()
