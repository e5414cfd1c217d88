"""Pictures of every page for people to judge: `python tests/journeys/screenshots.py OUTDIR`.

The real window with its real engine and a fresh home on a virtual screen; three adapters on the desk,
a router trained, a prompt answered. Light, dark and contrast, at 1280 x 800 and 1920 x 1080.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from driver import Window, screen

SIZES = [(1280, 800), (1920, 1080)]
SCHEMES = ["light", "dark", "contrast"]
PAGES = ["library", "mixer", "activity", "settings"]
EXPERTS = ("reverse", "sort", "upper")


def photograph(folder: Path) -> None:
    """Write PAGE-STATE-SCHEME-WIDTH.png files into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, screen() as display:
        window = Window(Path(home) / "home", display)
        try:
            window.settle()
            window.key("ctrl+2")
            window.until("mixer is not None and len(mixer.adapters) >= 5 and mixer.data is not None", 60)
            in_both(window, folder, "mixer-empty")
            play(window, folder)
            for page in PAGES:
                window.look(f"shell.go({page!r}) is not None")
                in_every_dress(window, folder, page)
        finally:
            window.close()


def play(window: Window, folder: Path) -> None:
    """Lay, train, ask; a picture of the desk while it learns and of a muted strip."""
    window.look(f"[mixer.drop(name) for name in {EXPERTS}]")
    window.key("ctrl+t")
    window.until("mixer.training.job is not None and mixer.training.job.step >= 100", 120)
    window.key("ctrl+l")
    window.write("sort: garden")
    window.key("Return")
    window.until("all(mixer.answers.answer(pane).state == 'done' for pane in mixer.panes)", 60)
    in_both(window, folder, "mixer-training")
    window.until("mixer.desk.mix == 'mix-1'", 240)
    window.look("mixer.compare('sort', True)")
    window.look("mixer.ask('sort: garden')")
    window.until("mixer.routing is not None and mixer.answers.answer('mix').state == 'done'", 60)
    window.until("all(mixer.answers.answer(pane).state == 'done' for pane in mixer.panes)", 60)
    window.look("mixer.mute('reverse', True)")
    window.until("not mixer._settle.isActive() and mixer.answers.answer('mix').state == 'done'", 60)
    in_both(window, folder, "mixer-muted")
    window.look("mixer.mute('reverse', False)")
    window.until("not mixer._settle.isActive() and mixer.answers.answer('mix').state == 'done'", 60)


def in_both(window: Window, folder: Path, name: str) -> None:
    for scheme in ("light", "dark"):
        take(window, folder, name, scheme, SIZES[0])


def in_every_dress(window: Window, folder: Path, name: str) -> None:
    for size in SIZES:
        for scheme in SCHEMES:
            take(window, folder, name, scheme, size)


def take(window: Window, folder: Path, name: str, scheme: str, size: tuple[int, int]) -> None:
    window.look(f"shell.setGeometry(0, 0, {size[0]}, {size[1]})")
    window.look(f"theme.choose({scheme!r})")
    window.until(f"shell.width() == {size[0]}")
    window.pause(0.4)
    window.look(f"picture({str(folder / f'{name}-{scheme}-{size[0]}.png')!r})")


if __name__ == "__main__":
    photograph(Path(sys.argv[1]).resolve())
