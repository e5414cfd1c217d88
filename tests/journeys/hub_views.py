"""The Hub and the library as pictures: searches, details, downloads, shelves, sheets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from driver import ROOT, Window

STARTER = ROOT / "resources" / "starter" / "adapters"
WEIGHTS = "adapter_model.safetensors"
CARD = """# Sorts letters

A small adapter that puts the letters of a word in order.

| word | answer |
|---|---|
| garden | adegnr |

Trained on 2,000 words; see [how](https://example.org/how). ![curve](curve.png)
"""
SLOW = 16_000
# What is a sheet of its own, and what the widget is called.
SHEETS = {"sign-in": "sign-in", "removal": "removal", "provenance": "provenance", "publish": "publish"}


def fill(hub: object, folder: Path) -> None:
    """A Hub with something good, something wrong, something gated, something pickled, and a crowd."""
    from tests.hub.rig import write_adapter, write_base

    for number, name in enumerate(("sort", "reverse", "upper", "plural")):
        files = {file: STARTER / name / file for file in (WEIGHTS, "adapter_config.json")}
        hub.add(
            f"ada/{name}-letters",
            files,
            base="studio/starter-llama",
            license="mit",
            likes=30 - number,
            downloads=12_000 - 900 * number,
            card=CARD,
            task="text-generation",
            tags=["words", "letters"],
        )
    large = write_adapter(folder / "large", 2, base="studio/large")
    hub.add("bob/for-another-base", large, base="studio/large", license="apache-2.0", downloads=800)
    files = {file: STARTER / "double" / file for file in (WEIGHTS, "adapter_config.json")}
    hub.add("eve/gated-double", files, base="studio/starter-llama", gated=True, downloads=600)
    hub.add("eve/pickled", {"adapter_model.bin": b"\x80", "adapter_config.json": "{}"}, downloads=500)
    hub.add("studio/large", write_base(folder / "base", 6), task="text-generation", downloads=9000)
    hub.add_many(300, base="other/base")


def photograph(window: Window, hub: object, folder: Path, take: Callable[[str], None]) -> None:
    """``take(name)`` is called in each state of Discover and of the library."""
    discover(window, hub, take)
    mix(window)
    window.look("shell.go('settings') is not None")
    take("settings-signed-in")
    library(window, hub, folder, take)
    sheets(window, take)


def discover(window: Window, hub: object, take: Callable[[str], None]) -> None:
    window.look("shell.go('discover') is not None")
    window.until("named('discover-cards').model().rowCount() > 40")
    window.pause(1.5)
    take("discover-list")
    window.look("page.discover.look_for('letters')")
    window.until("named('discover-cards').model().rowCount() == 4")
    window.look("page.discover.choose('ada/sort-letters')")
    window.until("page.discover.repository.state.details is not None")
    window.pause(1.0)
    take("discover-details")
    window.look("named('discover-view.card').click()")
    take("discover-card")
    window.look("named('discover-view.files').click()")
    take("discover-files")
    window.look("named('discover-view.facts').click()")
    hub.fault("/large/*", times=-1, rate=SLOW)
    for name in ("sort", "reverse", "upper"):
        window.look(f"page.downloads.start('ada/{name}-letters', '{name}-letters', 'adapters')")
    window.until("sum(fetch.job.step > 60000 for fetch in page.downloads.fetches) == 3")
    window.look("page.downloads.pause(page.downloads.fetches[0].job.id)")
    window.until("page.downloads.fetches[0].job.state == 'paused'")
    take("discover-downloads")
    window.look("shell.go('activity') is not None")
    running = "next(fetch.job.id for fetch in shell.downloads.fetches if fetch.job.state == 'running')"
    window.look(f"shell.activity.choose({running})")
    window.pause(1.5)
    take("activity-download")
    hub.clear()
    window.look("shell.downloads.resume(shell.downloads.fetches[0].job.id)")
    window.until("all(fetch.job.state == 'done' for fetch in shell.downloads.fetches)")
    window.look("shell.go('discover') is not None")
    window.look("page.discover.look_for('')")
    window.look("named('discover-account').dialog.open()")
    window.until("named('sign-in-code').text() != ''")
    take("sign-in")
    hub.accept_device("ada")
    window.until("shell.account.state.name == 'ada'")
    window.look("page.discover.enter('bases')")
    window.pause(2.0)
    take("discover-bases")
    window.look("page.discover.enter('adapters')")


def mix(window: Window) -> None:
    """Something that depends on two adapters."""
    window.look("shell.go('mixer') is not None")
    window.until("len(mixer.stock.adapters) >= 6")
    window.look("[mixer.drop(name) for name in ('reverse', 'sort')]")
    window.look("mixer.set_router(start='prototypes', with_data=False)")
    window.look("mixer.train()")
    window.until("mixer.desk.mix == 'mix-1'")


def library(window: Window, hub: object, folder: Path, take: Callable[[str], None]) -> None:
    window.look("shell.go('library') is not None")
    window.look("page.library.star('plural', True)")
    window.look("page.library.tag('sort-letters', ['letters', 'short words'])")
    window.look("page.library.note('sort-letters', 'The one that needs no second look.')")
    files = {file: STARTER / "plural" / file for file in (WEIGHTS, "adapter_config.json")}
    hub.add("ada/sort-letters", files, base="studio/starter-llama", license="mit")
    window.look("(page.library.choose('sort-letters'), page.library.check_revisions())")
    window.until("page.library.state.card is not None and page.library.state.card.newer")
    window.look("page.library.verify('sort-letters')")
    window.until("'sort-letters' in page.library.state.checked")
    take("library-hub")
    window.look(f"page.library.inspect({str(kohya(folder))!r})")
    window.until("page.library.state.guest is not None")
    take("library-guest")
    window.look("page.library.turn_away()")
    for view in ("bases", "mixes"):
        window.look(f"page.show_view({view!r}) is not None")
        window.until("page.view.keeping.state.known")
        window.pause(0.5)
        take(f"library-{view}")
    window.look("page.library.remove_now('upper-letters')")
    window.look("page.show_view('disk') is not None")
    window.until("len(page.view.rows.items) > 5")
    take("library-disk")


def kohya(folder: Path) -> Path:
    """The starter pack's adapter for plurals as kohya's scripts would have written it."""
    from safetensors.numpy import load_file, save_file

    tensors = {}
    for name, tensor in load_file(STARTER / "plural" / WEIGHTS).items():
        path, _, part = name.removeprefix("base_model.model.").rpartition(".lora_")
        key = "lora_te_" + path.replace(".", "_")
        tensors[f"{key}.{'lora_down' if part.startswith('A') else 'lora_up'}.weight"] = tensor
    file = folder / "plurals-by-kohya.safetensors"
    save_file(tensors, file, {"ss_network_module": "networks.lora"})
    return file


def sheets(window: Window, take: Callable[[str], None]) -> None:
    """The sheets over the library: before a removal, provenance, publishing."""
    window.look("page.show_view('adapters') is not None")
    window.look("page.library.choose('sort')")
    window.look("page.library.remove('sort')")
    window.until("named('removal').isVisible()")
    take("removal")
    window.look("named('removal').reject()")
    window.look("page.library.trace('sort-letters')")
    window.until("named('provenance').isVisible()")
    take("provenance")
    window.look("named('provenance').reject()")
    window.look("page._present_publishing('sort-letters')")
    window.until("named('publish-card').toPlainText() != ''")
    take("publish")
    window.look("named('publish').close()")


def offline(window: Window, take: Callable[[str], None]) -> None:
    window.look("shell.go('discover') is not None")
    window.until("named('discover-trouble').isVisible()")
    window.pause(1.0)
    take("discover-offline")


def closed(environment: Mapping[str, str]) -> dict[str, str]:
    """The same without a Hub."""
    return {**environment, "HF_ENDPOINT": "http://127.0.0.1:9"}
