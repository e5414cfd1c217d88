"""Pictures of every page for people to judge: `python tests/journeys/screenshots.py OUTDIR`.

The real window with its real engine and a fresh home on a virtual screen: the starter mix on the desk, a
router trained, a prompt answered; then what else a mix can be: played top-k with a lock, joined, left, taken
away, trained together; then one adapter at every rank; then speech, with a drawn head before the camera; then
what is found on a Hub, which is a server of the tests, and what the library keeps. Light, dark and contrast,
at 1280 x 800 and 1920 x 1080. With `--hub` only the Hub and the library, with `--ranks` only the ranks, with
`--speech` only speech; with `--readme` the pictures of the README are written to docs/pictures too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

import hub_views
import rank_views
import speech_views
import views
from driver import ROOT, Window, screen

SIZES = [(1280, 800), (1920, 1080)]
SCHEMES = ["light", "dark", "contrast"]
PAGES = ["library", "mixer", "activity", "settings"]
README = [
    ("discover-details", "light"),
    ("mixer", "light"),
    ("mixer", "dark"),
    ("prompts-why", "light"),
    ("scores", "light"),
    ("ranks", "light"),
    ("speech-noise", "light"),
    ("library", "light"),
    ("activity", "dark"),
]
PROMPT = "sort: garden"


def photograph(folder: Path) -> None:
    """Write PAGE-STATE-SCHEME-WIDTH.png files into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, screen() as display:
        window = Window(Path(home) / "home", display)
        try:
            window.settle()
            window.key("ctrl+3")
            window.until("mixer is not None and len(mixer.starters) >= 5 and mixer.data is not None")
            in_both(window, folder, "mixer-empty")
            play(window, folder)
            for page in PAGES:
                window.look(f"shell.go({page!r}) is not None")
                in_every_dress(window, folder, page)
            window.look("shell.go('mixer') is not None")
            views.photograph(window, lambda name: in_every_dress(window, folder, name))
            shape(window, folder)
            leave(window, folder)
            train_together(window, folder)
        finally:
            window.close()


def photograph_ranks(folder: Path) -> None:
    """The ranks page, from its first visit on."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, screen() as display:
        window = Window(Path(home) / "home", display)
        try:
            window.settle()
            window.key("ctrl+4")
            window.until("page.objectName() == 'ranks'")
            window.point(1900, 1060)
            rank_views.photograph(window, partial(in_both_sizes, window, folder))
        finally:
            window.close()


def photograph_speech(folder: Path) -> None:
    """The speech page, from its first visit on; the microphone is whatever this machine has."""
    sys.path.insert(0, str(ROOT))
    from tests.engine.speech.drawn import head, record

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, screen() as display:
        face = Path(place) / "face.mkv"
        heads = [head(320, 240, 130, 4 + 9 * (number // 3 % 3))[0] for number in range(150)]
        record(face, [number / 25 for number in range(150)], heads)
        window = Window(Path(place) / "home", display)
        try:
            window.settle()
            window.look("shell.go('speech') is not None")
            window.point(1900, 1060)
            speech_views.photograph(window, face, partial(in_every_dress, window, folder))
        finally:
            window.close()


def photograph_hub(folder: Path) -> None:
    """Discover, downloads, sign-in, the library's views and sheets; and all of it without a network."""
    sys.path.insert(0, str(ROOT))
    from tests.hub.handle import HubServer

    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as place,
        screen() as display,
        HubServer.start(Path(place) / "hub") as hub,
    ):
        hub_views.fill(hub, Path(place))
        hub.device(interval=1)

        def opened(name: str, environment: dict[str, str]) -> Window:
            window = Window(Path(place) / name / "home", display, environment=environment)
            window.settle()
            return window

        for name, environment in (("on", hub.environment()), ("off", hub_views.closed(hub.environment()))):
            (Path(place) / name).mkdir()
            window = opened(name, environment)
            try:
                take = partial(in_both_sizes, window, folder)
                if name == "on":
                    hub_views.photograph(window, hub, Path(place), take)
                else:
                    hub_views.offline(window, take)
            finally:
                window.close()


def play(window: Window, folder: Path) -> None:
    """Lay, train, ask; a picture of the desk while it learns, of a muted strip and of slid ones."""
    window.look("mixer.lay_out_starters()")
    window.key("ctrl+t")
    window.until("mixer.training.job is not None and mixer.training.job.step >= 60", 120)
    window.key("ctrl+l")
    window.write(PROMPT)
    window.key("Return")
    window.until("all(mixer.answers.answer(pane).state == 'done' for pane in mixer.questions.panes)")
    in_both(window, folder, "mixer-training")
    window.until("mixer.desk.mix == 'mix-1'", 300)
    window.look("[mixer.questions.compare(name, name == 'sort') for name in mixer.desk.experts]")
    window.look(f"mixer.questions.ask({PROMPT!r})")
    rest(window)
    window.look("named('mixer.map').set_token(4)")
    window.look("mixer.mute('reverse', True)")
    rest(window)
    in_both(window, folder, "mixer-muted")
    window.look("mixer.mute('reverse', False)")
    window.look("(mixer.set_rank('sort', 2), mixer.set_rank('reverse', 5))")
    rest(window)
    in_both_sizes(window, folder, "mixer-ranks")
    window.look("(mixer.set_rank('sort', 8), mixer.set_rank('reverse', 8))")
    rest(window)


def shape(window: Window, folder: Path) -> None:
    """A lock under top-k, the settings unfolded, an expert that the mix does not know, one that left it."""
    window.look("mixer.set_router(mode='topk', top_k=2)")
    window.look("mixer.lock('sort', True)")
    rest(window)
    in_both(window, folder, "mixer-lock")
    window.look("named('mixer.router.more').setChecked(True)")
    in_both(window, folder, "mixer-settings")
    window.look("named('mixer.router.more').setChecked(False)")
    window.look("(mixer.remove('upper'), mixer.lock('sort', False))")
    in_both(window, folder, "mixer-left")
    window.look("(mixer.leave_out('upper'))")
    window.until("mixer.desk.mix == 'mix-1-without-upper'")
    window.look("mixer.drop('upper')")
    in_both(window, folder, "mixer-stranger")


def leave(window: Window, folder: Path) -> None:
    """The form before an export as a folder, and as one LoRA per data set."""
    window.look("named('mixer.router.export').click()")
    window.until("named('mixer.export').isVisible()")
    for scheme in ("light", "dark"):
        window.look(f"theme.choose({scheme!r})")
        for kind in ("folder", "lora"):
            window.look(f"mixer.export.set(kind={kind!r}, gates='domain')")
            window.pause(0.4)
            file = folder / f"mixer-export-{kind}-{scheme}.png"
            window.look(f"picture({str(file)!r}, 'mixer.export')")
    window.look("named('mixer.export').close()")


def train_together(window: Window, folder: Path) -> None:
    """Experts and router learning together, a new expert among them."""
    window.look("mixer.close_mix()")
    window.look("mixer.set_lesson('joint')")
    window.look("mixer.lay_blank('blend')")
    blend = "next(data.path for data in mixer.stock.sets if data.name == 'mixed-blend')"
    window.look(f"mixer.choose_data_for('blend', {blend})")
    in_both(window, folder, "mixer-together")
    window.look("mixer.set_joint(steps=60)")
    window.look("mixer.train()")
    window.until("mixer.training.stage.startswith('Stage 2') and mixer.training.job.step >= 45", 240)
    in_both(window, folder, "mixer-together-training")
    window.look("mixer.training.cancel()")
    window.until("not mixer.training.is_open")


def rest(window: Window) -> None:
    """Wait until every answer stands."""
    window.until(
        "not mixer.questions.is_settling and mixer.routing is not None"
        " and all(mixer.answers.answer(pane).state == 'done' for pane in mixer.questions.panes)",
        60,
    )


def in_both(window: Window, folder: Path, name: str) -> None:
    for scheme in ("light", "dark"):
        take(window, folder, name, scheme, SIZES[0])


def in_both_sizes(window: Window, folder: Path, name: str) -> None:
    """A page light and dark, small and large; a sheet before it alone."""
    if name in hub_views.SHEETS:
        take_sheet(window, folder, name, hub_views.SHEETS[name])
        return
    for size in SIZES:
        for scheme in ("light", "dark"):
            take(window, folder, name, scheme, size)


def take_sheet(window: Window, folder: Path, name: str, sheet: str) -> None:
    for scheme in ("light", "dark"):
        window.look(f"theme.choose({scheme!r})")
        window.pause(0.4)
        window.look(f"picture({str(folder / f'{name}-{scheme}.png')!r}, {sheet!r})")


def in_every_dress(window: Window, folder: Path, name: str) -> None:
    """A page in all schemes, small and large; a window of its own alone."""
    if name in speech_views.WINDOWS:
        take_sheet(window, folder, name, speech_views.WINDOWS[name])
        return
    for size in SIZES:
        for scheme in SCHEMES:
            take(window, folder, name, scheme, size)


def take(window: Window, folder: Path, name: str, scheme: str, size: tuple[int, int]) -> None:
    window.look(f"shell.setGeometry(0, 0, {size[0]}, {size[1]})")
    window.look(f"theme.choose({scheme!r})")
    window.until(f"shell.width() == {size[0]}")
    window.pause(0.4)
    window.look(f"picture({str(folder / f'{name}-{scheme}-{size[0]}.png')!r})")


def keep_for_readme(folder: Path) -> None:
    """The pictures that the README shows, without their alpha and packed as tightly as PNG can."""
    from PySide6.QtGui import QImage

    target = ROOT / "docs" / "pictures"
    target.mkdir(parents=True, exist_ok=True)
    for page, scheme in README:
        taken = folder / f"{page}-{scheme}-1280.png"
        if not taken.exists():
            continue  # only some pages were photographed
        picture = QImage(str(taken)).convertToFormat(QImage.Format.Format_RGB888)
        file = target / f"{page}-{scheme}.png"
        picture.save(str(file), "PNG", 0)
        file.chmod(0o644)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--readme", action="store_true")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--hub", action="store_true")
    only.add_argument("--ranks", action="store_true")
    only.add_argument("--speech", action="store_true")
    given = parser.parse_args()
    folder, is_all = given.folder.resolve(), not (given.hub or given.ranks or given.speech)
    if is_all:
        photograph(folder)
    if is_all or given.ranks:
        photograph_ranks(folder)
    if is_all or given.speech:
        photograph_speech(folder)
    if is_all or given.hub:
        photograph_hub(folder)
    if given.readme:
        keep_for_readme(folder)
