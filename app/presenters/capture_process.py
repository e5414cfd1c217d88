"""The process that holds camera, microphone and loudspeaker, as its pipe: commands in, reports out."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Sequence

import msgspec
from PySide6.QtCore import QCoreApplication, QObject, QProcess, QTimer, Signal

from app.capture.frames import Frames, ReportFrames, frame
from app.capture.messages import CAPTURE_PROTOCOL, Command, Quit, Ready, Report
from engine.messages import Error

__all__ = ["CaptureProcess"]

COMMAND = (sys.executable, "-P", "-m", "app.capture")
LEAVE_MS = 4000
TOLD = 4000

_alive: set[QProcess] = set()
"""Processes that run, and those that may have a file to finish: they outlive the page that started them."""


class CaptureProcess(QObject):
    """Started by the first command; ends with ``end``, or with the window, whose end closes its pipe.

    ``reported(Report)``: what it said; ``left``: it is gone, as it was told; ``ended(Error)``: it is gone and
    nobody told it to go. The next command starts another one.
    """

    reported = Signal(object)
    left = Signal()
    ended = Signal(object)

    def __init__(self, command: Sequence[str] = (), parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._command = command or COMMAND
        self._process: QProcess | None = None
        self._is_leaving = False
        self._frames: Frames[Report] = ReportFrames()
        self._waiting: list[Command] = []
        self._said = ""
        self._patience = QTimer(self, interval=LEAVE_MS, singleShot=True)
        self._patience.timeout.connect(self._kill)
        if (app := QCoreApplication.instance()) is not None:
            app.aboutToQuit.connect(self._quit)

    @property
    def pid(self) -> int:
        """0 while there is none."""
        return self._process.processId() if self._process is not None else 0

    def send(self, command: Command) -> None:
        """Say something to it, as soon as it is there."""
        if self._is_leaving:
            self._waiting.append(command)
            return
        process = self._process or self._start()
        process.write(frame(command))

    def end(self) -> None:
        """Let it close everything and go; what it still has to say is heard."""
        self._waiting.clear()
        process = self._process
        if process is not None and not self._is_leaving:
            self._is_leaving = True
            process.write(frame(Quit()))
            process.closeWriteChannel()
            self._patience.start()

    def _start(self) -> QProcess:
        process = self._process = QProcess()
        _alive.add(process)
        self._frames, self._said = ReportFrames(), ""
        process.readyReadStandardOutput.connect(self._read)
        process.readyReadStandardError.connect(self._overhear)
        process.finished.connect(self._finished)
        process.errorOccurred.connect(self._failed)
        process.stateChanged.connect(lambda state: _forget(process, state))
        process.start(self._command[0], list(self._command[1:]))
        return process

    def _read(self) -> None:
        assert self._process is not None
        try:
            for report in self._frames.feed(bytes(self._process.readAllStandardOutput().data())):
                if isinstance(report, Ready) and report.protocol != CAPTURE_PROTOCOL:
                    self._lose("The camera process is of another version than this window.")
                    return
                self.reported.emit(report)
        except msgspec.DecodeError as error:
            self._said += f"\n{error}"
            self._lose("What the camera process said cannot be understood.")

    def _overhear(self) -> None:
        assert self._process is not None
        said = bytes(self._process.readAllStandardError().data()).decode(errors="replace")
        self._said = (self._said + said)[-TOLD:]

    def _failed(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._lose("The process for camera and microphone does not start.")

    def _quit(self) -> None:
        """The window goes: give the process the time to finish what it writes."""
        self.end()
        if self._process is not None:
            self._process.waitForFinished(LEAVE_MS)

    def _finished(self) -> None:
        self._read()
        if self._process is None:
            return  # its last words were not understood, which was told
        self._overhear()
        was_told, self._process, self._is_leaving = self._is_leaving, None, False
        self._patience.stop()
        if was_told:
            self.left.emit()
        else:
            self._tell("Camera and microphone stopped working.")
        waiting, self._waiting = self._waiting, []
        for command in waiting:
            self.send(command)

    def _kill(self) -> None:
        """It was told to go and does not."""
        if self._process is not None:
            self._process.kill()

    def _lose(self, words: str) -> None:
        process, self._process, self._is_leaving = self._process, None, False
        if process is not None:
            process.readyReadStandardOutput.disconnect(self._read)
            process.readyReadStandardError.disconnect(self._overhear)
            process.finished.disconnect(self._finished)
            process.kill()
        self._tell(words)

    def _tell(self, words: str) -> None:
        hint = "Turn them on again; the rest of the studio goes on."
        self.ended.emit(Error(code="crashed", message=words, hint=hint, detail=self._said.strip()))


@atexit.register
def _outlive() -> None:
    """The interpreter ends, perhaps without the end of a window: let them finish while Qt is still there."""
    for process in _alive:
        process.blockSignals(True)
        process.closeWriteChannel()
        if not process.waitForFinished(LEAVE_MS):
            process.kill()
            process.waitForFinished()
    _alive.clear()


def _forget(process: QProcess, state: QProcess.ProcessState) -> None:
    """Let go of a process that is gone, though not while it says so."""
    if state == QProcess.ProcessState.NotRunning:
        QTimer.singleShot(0, lambda: _alive.discard(process))
