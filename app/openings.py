"""Which pages there are, and how each is opened: what it is handed, and which page follows its wishes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.models.adapters import MIME
from app.models.hub import ABSENT_MIME
from app.pages.page import Page
from app.presenters.notice import Notice

if TYPE_CHECKING:
    from app.shell import Shell

__all__ = ["PAGES", "TAKES", "lay_on_desk", "open_page", "take"]

# The name is also the drawing in the rail and the page's name on the command line.
PAGES = {
    "discover": "Discover",
    "library": "Library",
    "mixer": "Mixer",
    "ranks": "Ranks",
    "speech": "Speech",
    "activity": "Activity",
    "settings": "Settings",
}
# What can be let go on a page's button in the rail, and whether the page opens when it is held there: with an
# adapter that is yet to be downloaded nobody can go on to a place on the desk.
TAKES = {"mixer": {MIME: True, ABSENT_MIME: False}, "ranks": {MIME: True}}


def open_page(name: str, shell: Shell) -> Page:
    """A page that has not been visited before; its module is imported only now."""
    page = _OPEN[name](shell)
    page.noticed.connect(shell.say)
    page.use_base(shell.frame.state.base)
    return page


def take(shell: Shell, name: str, kind: str, text: str) -> None:
    """Something of the mime type ``kind`` was let go on a page's button."""
    if kind == ABSENT_MIME:
        shell.built("discover").fetch_for_desk(text)
    elif name == "ranks":
        _slide(shell, text)
    else:
        _add_to_desk(shell, text)


def lay_on_desk(shell: Shell, adapter: str) -> None:
    """What was to go onto the desk is here: lay it there, and leave the person where they are."""
    shell.built("mixer").add(adapter)


def _discover(shell: Shell) -> Page:
    from app.pages.discover import DiscoverPage

    page = DiscoverPage(shell.client, shell.downloads, shell.account, shell.settings)
    page.wanted.connect(lambda adapter: _add_to_desk(shell, adapter))
    page.shown_in_library.connect(lambda room, name: shell.go("library").look_at(room, name))
    page.base_chosen.connect(shell.frame.choose_base)
    return page


def _library(shell: Shell) -> Page:
    from app.pages.library import LibraryPage

    page = LibraryPage(shell.client, shell.activity, shell.downloads, lambda: shell.account)
    page.wanted.connect(lambda adapter: _add_to_desk(shell, adapter))
    page.ranks_wanted.connect(lambda adapter: _slide(shell, adapter))
    page.mix_wanted.connect(lambda mix: _open_mix(shell, mix))
    page.address_wanted.connect(lambda address: _show_in_discover(shell, address))
    page.adapters_wanted.connect(lambda base: shell.go("discover").discover.look_for_adapters_of(base))
    page.base_chosen.connect(shell.frame.choose_base)
    return page


def _mixer(shell: Shell) -> Page:
    from app.pages.mixer import MixerPage

    page = MixerPage(shell.client, shell.settings)
    page.added.connect(lambda adapter: _tell_of_desk(shell, adapter))
    page.ranks_wanted.connect(lambda adapter: _slide(shell, adapter))
    return page


def _ranks(shell: Shell) -> Page:
    from app.pages.ranks import RanksPage

    return RanksPage(shell.client, shell.settings)


def _speech(shell: Shell) -> Page:
    from app.pages.speech import SpeechPage

    return SpeechPage(shell.client, shell.settings)


def _activity(shell: Shell) -> Page:
    from app.pages.activity import ActivityPage

    return ActivityPage(shell.activity)


def _settings(shell: Shell) -> Page:
    from app.pages.settings import SettingsPage

    return SettingsPage(shell.client, shell.account, shell.settings)


_OPEN = {
    "discover": _discover,
    "library": _library,
    "mixer": _mixer,
    "ranks": _ranks,
    "speech": _speech,
    "activity": _activity,
    "settings": _settings,
}


def _add_to_desk(shell: Shell, adapter: str) -> None:
    shell.go("mixer").add(adapter)


def _slide(shell: Shell, adapter: str) -> None:
    shell.go("ranks").choose(adapter)


def _tell_of_desk(shell: Shell, adapter: str) -> None:
    if shell.page().objectName() != "mixer":
        show = ("Show the desk", lambda: shell.go("mixer"))
        shell.say(Notice("good", f"{adapter} is on the desk.", action=show))


def _open_mix(shell: Shell, mix: str) -> None:
    page = shell.go("mixer")
    if mix:
        page.open_mix(mix)


def _show_in_discover(shell: Shell, address: str) -> None:
    """Something that was dropped or pasted elsewhere may be an address on the Hub."""
    page = shell.go("discover")
    if address:
        page.discover.look_for(address)
