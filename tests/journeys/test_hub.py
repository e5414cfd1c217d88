"""From the Hub onto the desk in the real window, with a test server as the Hub: found, fetched, heard."""

from __future__ import annotations

import json

import psutil
import pytest

from engine.supervisor.starter import STARTER
from tests.hub.rig import WEIGHTS, digest, write_adapter

pytestmark = pytest.mark.display

SORT = STARTER / "adapters" / "sort"
FILES = {name: SORT / name for name in (WEIGHTS, "adapter_config.json")}
GOOD, WRONG = "ada/sort-letters", "ada/sort-of-large"
SLOW = 90_000  # bytes a second: a download that takes four


@pytest.fixture
def hub(hub, tmp_path):
    hub.device(interval=1)
    hub.add(GOOD, FILES, base="studio/starter-llama", license="mit", likes=3, card="# Sorts letters\n")
    hub.add(WRONG, write_adapter(tmp_path / "wrong", 1), base="other/base", downloads=9)
    hub.add_many(40, base="other/base")
    return hub


@pytest.fixture
def window(open_window, hub):
    hub.fault("/large/*sort-letters/*", times=-1, rate=SLOW)
    return open_window(hub.environment())


def download(window):
    """The name of the row of the only download, once it is there."""
    window.until("len(shell.downloads.fetches) == 1")
    return "download-" + window.look("shell.downloads.fetches[0].job.id[:8]")


def pause_and_resume(window, press):
    """Pause when some of it has come, see that it stays so, and go on to the end."""
    row = download(window)
    window.until("shell.downloads.fetches[0].job.step > 60000")
    press(f"{row}-pause")
    window.until("shell.downloads.fetches[0].job.state == 'paused'")
    step = window.look("shell.downloads.fetches[0].job.step")
    window.pause(0.5)
    assert 0 < window.look("shell.downloads.fetches[0].job.step") == step
    press(f"{row}-resume")
    window.until("shell.downloads.fetches[0].job.state == 'done'")
    assert window.look("shell.downloads.fetches[0].job.result['resumed_from']") >= 60_000


def verdict(repo):
    return f"getattr(page.discover.verdicts.known.get({repo!r}), 'fit', None)"


def test_by_mouse(window, tmp_path):
    """Search, read the verdicts, download with a pause, carry the very card to the desk, hear it."""
    window.click("go-discover")
    window.until("named('discover-cards').model().rowCount() > 10")
    window.click("discover-search")
    window.write("sort")
    window.key("Return")
    window.until("named('discover-cards').model().rowCount() == 2")
    window.until(f"{verdict(GOOD)} is not None and {verdict(WRONG)} is not None")
    assert window.look(f"{verdict(WRONG)}.verdict") in ("amber", "red")
    window.click("discover-cards", window.look(f"row('discover-cards', {GOOD!r})"))
    window.until("page.discover.repository.state.details is not None")
    assert window.look(f"{verdict(GOOD)}.verdict") == "green"
    window.until("named('discover-download').isVisible()")
    window.click("discover-download")
    pause_and_resume(window, window.click)
    window.until(f"named('discover-cards').model().index(row('discover-cards', {GOOD!r}), 0).data(259)")

    card = window.look(f"place('discover-cards', row('discover-cards', {GOOD!r}))")
    icon = window.look("place('go-mixer')")
    window.drag(card, icon, [icon[0] + 400, 330], rest=1.0)
    window.until("mixer is not None and mixer.desk.experts == ['sort-letters']")
    hear(window, lambda: window.click("mixer.prompt"))
    assert digest(tmp_path / "home" / "adapters" / "sort-letters" / WEIGHTS) == digest(SORT / WEIGHTS)


def hear(window, reach):
    reach()
    window.until("focus() == 'mixer.prompt'")
    window.write("sort: garden")
    window.key("Return")
    window.until("mixer.answers.answer('expert:sort-letters').state == 'done'")
    assert window.look("mixer.answers.answer('expert:sort-letters').text") == "adegnr"


def test_by_keyboard_alone(window):
    """The same: Enter on the card says what comes before, a second one fetches it for the desk."""
    window.point(1900, 1060)
    window.key("ctrl+1")
    window.until("page is not None and named('discover-cards').model().rowCount() > 10")
    window.key("ctrl+f")
    window.until("focus() == 'discover-search'")
    window.write("sort")
    window.key("Return")
    window.until("named('discover-cards').model().rowCount() == 2")
    window.key("F6")
    window.until("focus() == 'discover-cards'")
    window.key("Home", *["Right"] * window.look(f"row('discover-cards', {GOOD!r})"))
    window.until(f"page.discover.state.chosen == {GOOD!r}")
    window.until("page.discover.repository.state.details is not None")
    window.key("Return")
    window.until("focus() == 'discover-download'")
    window.key("space")
    row = download(window)
    for _ in range(8):  # parts of the window
        if window.look(f"focus().startswith({row!r})"):
            break
        window.key("F6")

    def press(name):
        tab_to(window, name)
        window.key("space")

    pause_and_resume(window, press)
    window.until("'sort-letters is on the desk.' in named('notice-bar').text")
    window.key("ctrl+3")
    window.until("mixer is not None and mixer.desk.experts == ['sort-letters']")
    hear(window, lambda: window.key("ctrl+l"))


def tab_to(window, name, most=12):
    for _ in range(most):
        if window.look("focus()") == name:
            return
        window.key("Tab")
    raise AssertionError(f"Tab never reached {name}; the last stop was {window.look('focus()')}")


def test_signing_in_by_a_code_and_out_again(window, hub):
    window.click("go-discover")
    window.click("discover-account")
    window.until("named('sign-in').isVisible() and named('sign-in-code').text() != ''")
    code = window.look("named('sign-in-code').text()")
    assert len(code) >= 6
    hub.accept_device("ada")
    window.until("not named('sign-in').isVisible() and shell.account.state.name == 'ada'")
    assert window.look("named('discover-account').text()") == "ada"
    assert window.look("shell.account.state.account.kept") == "file"
    window.click("go-settings")
    window.until("named('settings-sign-out').isVisible()")
    window.click("settings-sign-out")
    window.until("shell.account.state.known and not shell.account.state.name")
    assert window.look("named('discover-account').text()") == "Sign in"


def test_offline_the_page_says_so_and_shows_the_library(open_window, hub):
    closed = {**hub.environment(), "HF_ENDPOINT": "http://127.0.0.1:9"}
    window = open_window(closed)
    window.click("go-discover")
    window.until("named('discover-trouble').isVisible()")
    assert window.look("page.discover.search.found.problem.code") == "offline"
    window.until("page.discover.search.found.is_library and named('discover-cards').model().rowCount() >= 6")
    assert window.look("[repo.have for repo in page.discover.search.found.repos if repo.have == 'sort']")
    window.click("go-library")
    window.until("named('library-cards').model().rowCount() >= 6")
    window.until("page.library.state.fits['sort'].verdict == 'green'")


def test_a_download_outlives_the_engine_that_is_killed(window, tmp_path):
    window.click("go-discover")
    window.until("named('discover-cards').model().rowCount() > 10")
    window.look("shell.downloads.start('ada/sort-letters', 'mine', 'adapters')")
    window.until("len(shell.downloads.fetches) == 1 and shell.downloads.fetches[0].job.step > 60000")
    engine = psutil.Process(json.loads((tmp_path / "home" / "engine.json").read_text())["pid"])
    step = window.look("shell.downloads.fetches[0].job.step")
    engine.kill()
    window.until("'The engine is back.' in said()")
    window.until("shell.downloads.fetches[0].job.state == 'done'")
    assert window.look("shell.downloads.fetches[0].job.result['resumed_from']") >= step > 0
    assert digest(tmp_path / "home" / "adapters" / "mine" / WEIGHTS) == digest(SORT / WEIGHTS)
    assert all(sentence.strip().endswith(".") for sentence in window.look("said()"))


def test_what_a_mix_was_made_of_goes_and_comes_back(window):
    """The preview says what depends on it; the mix plays on, and the notice brings the adapter back."""
    window.click("go-mixer")
    window.until("mixer is not None and len(mixer.stock.adapters) >= 6")
    window.look("[mixer.drop(name) for name in ('reverse', 'sort')]")
    window.look("mixer.set_router(start='prototypes', with_data=False)")
    window.look("mixer.train()")
    window.until("mixer.desk.mix == 'mix-1'")

    window.click("go-library")
    window.until("named('library-cards').model().rowCount() == 6")
    window.click("library-cards", window.look("row('library-cards', 'sort')"))
    window.until("page.library.state.chosen == 'sort'")
    window.click("details-remove")
    window.until("named('removal').isVisible()")
    window.until("named('removal').isActiveWindow()")
    window.click("removal-agree")
    window.until("'sort' not in [card.name for card in page.library.state.cards]")
    window.until("named('notice-action').isVisible()")

    window.click("go-mixer")
    window.look("mixer.questions.ask('sort: garden')")
    window.until("mixer.answers.answer('mix').state == 'done'")
    assert window.look("mixer.answers.answer('mix').text")
    window.click("notice-action")
    window.until("'sort' in mixer.stock.adapters")


def test_the_library_by_keyboard_alone(window):
    """Rename, remove, agree, take both back: F2, Del, Enter, Ctrl+Z."""
    window.point(1900, 1060)
    window.key("ctrl+2")
    window.until("page is not None and named('library-cards').model().rowCount() == 6")
    window.key("F6")
    window.until("focus() == 'library-cards'")
    window.key("Home", *["Right"] * window.look("row('library-cards', 'sort')"))
    window.until("page.library.state.chosen == 'sort'")
    window.key("F2")
    window.until("focus() == 'details-name'")
    window.write("order")
    window.key("Return")
    window.until("'order' in [card.name for card in page.library.state.cards]")
    window.until("page.library.state.chosen == 'order' and not page.library.state.busy")
    window.key("shift+F6")
    window.until("focus() == 'library-cards'")
    window.key("Delete")
    window.until("'order' not in [card.name for card in page.library.state.cards]")
    window.until("named('notice-bar').text == 'order was removed.'")
    window.key("ctrl+z")
    window.until("'order' in [card.name for card in page.library.state.cards]")
    window.until("not page.library.state.busy")
    window.key("ctrl+z")
    window.until("'sort' in [card.name for card in page.library.state.cards]")


def test_an_adapter_goes_to_the_hub(window, hub):
    """Signed in from the sheet, its card looked through, sent, and there."""
    window.click("go-library")
    window.until("named('library-cards').model().rowCount() == 6")
    window.click("library-cards", window.look("row('library-cards', 'sort')"))
    window.until("page.library.state.chosen == 'sort'")
    window.click("details-publish")
    window.until("named('publish').isVisible() and '# sort' in named('publish-card').toPlainText()")
    window.until("named('publish-sign-in').isVisible() and not named('publish-send').isEnabled()")
    window.click("publish-sign-in")
    window.until("named('sign-in').isVisible() and named('sign-in-code').text() != ''")
    hub.accept_device("ada")
    window.until("not named('sign-in').isVisible() and named('publish-send').isEnabled()")
    assert window.look("named('publish-repo').text()") == "ada/sort"
    assert window.look("named('publish-private').isChecked()")
    window.click("publish-send")
    window.until("named('publish-open').isVisible()")
    (sent,) = hub.uploads("ada/sort")
    assert {"README.md", WEIGHTS, "adapter_config.json"} <= {*sent["files"]}
