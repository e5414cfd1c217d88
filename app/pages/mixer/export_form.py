"""The way out of the studio for a mix: what is written, what that loses, and what was measured then."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.pages.data_box import DATA_FILES
from app.pages.fields import heading, quietly, rows, tiny
from app.presenters.export import Export
from app.presenters.mixer import Mixer
from engine.messages import DataSet
from widgets.choice import Choice
from widgets.number_field import whole_field
from widgets.reveal import reveal
from widgets.verdict import Verdict

__all__ = ["ExportForm"]

WIDTH = 520
WHAT = {
    "folder": ("Folder with its router", "Everything; any studio plays it as it is"),
    "lora": ("Plain LoRA", "For every program that loads PEFT adapters; without the router"),
}
GATES = {
    "mean": ("One LoRA", "Every expert at its average weight over the data"),
    "domain": ("One per data set", "A LoRA for each data set, with the average weights over that data"),
}


class ExportForm(QDialog):
    """A sheet beside the work: the page goes on behind it, and so does an export when it is closed."""

    def __init__(self, mixer: Mixer, parent: QWidget) -> None:
        super().__init__(parent)
        self._mixer = mixer
        self._export: Export = mixer.export
        self.setObjectName("mixer.export")
        self.kind = Choice("mixer.export.kind", "Export as", WHAT)
        self.gates = Choice("mixer.export.gates", "Gates become", GATES)
        self.data = QListWidget(objectName="mixer.export.data", accessibleName="Data to measure on")
        self.file = QPushButton("Add file…", objectName="mixer.export.file")
        self.rank = whole_field("mixer.export.rank", "Rank of the LoRA", 0, 1024)
        self.distil = whole_field("mixer.export.distil", "Steps of distillation", 0, 1_000_000)
        self.folder = QLineEdit(objectName="mixer.export.folder", accessibleName="New folder")
        self.choose = QPushButton("Choose…", objectName="mixer.export.choose")
        self.loss = tiny("mixer.export.loss")
        self.whole = tiny("mixer.export.whole")
        self.verdict = Verdict(self)
        self.verdict.setObjectName("mixer.export.verdict")
        self.progress = QProgressBar(
            objectName="mixer.export.progress", accessibleName="Progress of the export", textVisible=False
        )
        self.run = QPushButton("Export", objectName="mixer.export.run")
        self.run.setProperty("role", "primary")
        self.run.setDefault(True)
        self.stop = QPushButton("Cancel export", objectName="mixer.export.stop")
        self.show_folder = QPushButton("Show folder", objectName="mixer.export.show")
        self.leave = QPushButton("Close", objectName="mixer.export.close")
        self._describe()
        self._compose()
        self._connect()
        self._show()

    def present(self) -> None:
        """Open for the mix on the desk."""
        if self._mixer.mix is not None:
            self._export.begin(self._mixer.mix)
            self.setWindowTitle(f"Export {self._export.mix.name}" if self._export.mix else "Export")
            self._show()
            self.show()
            self.activateWindow()
            self.kind.setFocus(Qt.FocusReason.PopupFocusReason)

    def _describe(self) -> None:
        self.rank.setSpecialValueText("All")
        self.rank.setToolTip("Fewer directions make a smaller LoRA that is further from the mix; 0 keeps all")
        self.distil.setSpecialValueText("None")
        self.distil.setToolTip(
            "Train the LoRA so many steps to say what the mix says; takes as long as a training"
        )
        self.folder.setToolTip("A folder that does not exist yet")

    def _compose(self) -> None:
        self._on = heading("")
        self._lora = QWidget()
        lora = QVBoxLayout(self._lora)
        lora.setContentsMargins(0, 0, 0, 0)
        lora.setSpacing(8)
        lora.addWidget(self.gates)
        lora.addWidget(self._on)
        self.data.setFixedHeight(136)
        lora.addWidget(self.data)
        lora.addWidget(self.file, 0, Qt.AlignmentFlag.AlignLeft)
        lora.addLayout(rows({"Rank": self.rank, "Distillation steps": self.distil}))
        place = QHBoxLayout()
        place.setSpacing(8)
        place.addWidget(self.folder, 1)
        place.addWidget(self.choose)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        for button in (self.show_folder, self.stop, self.leave, self.run):
            buttons.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(12)
        for part in (self.kind, self._lora, heading("New folder")):
            column.addWidget(part)
        column.addLayout(place)
        for part in (self.loss, self.whole, self.verdict, self.progress):
            column.addWidget(part)
        column.addLayout(buttons)
        column.setSizeConstraint(QLayout.SizeConstraint.SetFixedSize)
        self.folder.setMinimumWidth(WIDTH - 160)
        self.loss.setFixedSize(WIDTH - 48, 84)
        for part in (self.whole, self.verdict):
            part.setFixedWidth(WIDTH - 48)

    def _connect(self) -> None:
        export = self._export
        self.kind.chosen.connect(lambda kind: export.set(kind=kind))
        self.gates.chosen.connect(lambda gates: export.set(gates=gates))
        self.data.itemChanged.connect(self._take)
        self.file.clicked.connect(self._add_file)
        self.rank.valueChanged.connect(lambda rank: export.set(rank=rank))
        self.distil.valueChanged.connect(lambda steps: export.set(distil=steps))
        self.folder.textEdited.connect(lambda text: export.set(folder=text))
        self.choose.clicked.connect(self._choose_folder)
        self.run.clicked.connect(export.run)
        self.stop.clicked.connect(export.cancel)
        self.show_folder.clicked.connect(lambda: reveal(export.path))
        self.leave.clicked.connect(self.close)
        export.changed.connect(self._show)
        self._mixer.stock.changed.connect(self._show)
        self._mixer.desk_changed.connect(self._show)

    def _show(self) -> None:
        export, plan = self._export, self._export.plan
        self.kind.choose(plan.kind)
        self.gates.choose(plan.gates)
        self._lora.setVisible(plan.kind == "lora")
        self._on.setText("A LoRA for each of" if plan.gates == "domain" else "Measured on")
        with quietly(self.rank, self.distil):
            self.rank.setMaximum(export.full_rank or 1024)
            self.rank.setValue(plan.rank)
            self.distil.setValue(plan.distil)
        if self.folder.text() != plan.folder:
            self.folder.setText(plan.folder)
        self._show_data()
        self.loss.setText(export.loss)
        self.whole.setText(self._mixer.playing.account("export", export.ranks))
        self.whole.setVisible(bool(self.whole.text()))
        self._show_progress()

    def _show_progress(self) -> None:
        export = self._export
        for part in (self.kind, self._lora, self.folder, self.choose):
            part.setEnabled(not export.busy)
        self.progress.setVisible(export.busy)
        job = export.job
        self.progress.setRange(0, job.steps if job else 0)
        self.progress.setValue(job.step if job else 0)
        self.progress.setAccessibleDescription(job.message if job else "")
        self.run.setVisible(not export.path)
        self.run.setEnabled(not export.busy and not export.why_not)
        self.run.setToolTip(export.why_not)
        self.stop.setVisible(export.busy and job is not None)
        self.show_folder.setVisible(bool(export.path))
        self.verdict.setVisible(bool(export.error or export.path or export.busy or export.why_not))
        if export.error is not None:
            self.verdict.say("bad", f"{export.error.message} {export.error.hint}".strip())
        elif export.path:
            self.verdict.say("good", f"Written to {export.path}. {export.measured}".strip())
        elif export.busy:
            self.verdict.say("text_dim", job.message if job else "Writing")
        else:
            self.verdict.say("text_dim", export.why_not)

    def _show_data(self) -> None:
        chosen = {data.name for data in self._export.plan.data}
        sets = list(self._mixer.stock.sets)
        sets += [data for data in self._export.plan.data if data not in sets]
        with quietly(self.data):
            if [self.data.item(row).text() for row in range(self.data.count())] != [d.name for d in sets]:
                self.data.clear()
                for data in sets:
                    self.data.addItem(_item(data))
            for row, data in enumerate(sets):
                on = Qt.CheckState.Checked if data.name in chosen else Qt.CheckState.Unchecked
                self.data.item(row).setCheckState(on)

    def _take(self, item: QListWidgetItem) -> None:
        data: DataSet = item.data(Qt.ItemDataRole.UserRole)
        self._export.take(data, item.checkState() == Qt.CheckState.Checked)

    def _add_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Choose data to measure on", "", DATA_FILES)
        if path:
            self._export.read(path)

    def _choose_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Export into which folder?")
        if folder and self._export.mix is not None:
            self._export.set(folder=f"{folder}/{self._export.mix.name}")


def _item(data: DataSet) -> QListWidgetItem:
    item = QListWidgetItem(data.name)
    item.setData(Qt.ItemDataRole.UserRole, data)
    item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
    item.setToolTip(f"{data.rows:,} rows. {data.description}".strip())
    return item
