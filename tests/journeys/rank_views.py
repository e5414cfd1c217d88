"""The ranks page as pictures: empty, answers at three ranks, six panes, a curve, a training under way."""

from __future__ import annotations

from collections.abc import Callable

from driver import Window

PROMPT = "reverse: constellation"
ROWS = 60


def photograph(window: Window, take: Callable[[str], None]) -> None:
    """``take(name)`` is called in each state; the page is in front, and nobody has slid anything yet."""
    window.until("len(page.ranks.state.adapters) >= 6")
    take("ranks-empty")
    answers(window, take)
    window.look(f"page.curves.set(rows={ROWS}, every_order=True)")
    window.look("page.curves.measure()")
    window.until("page.curves.current is not None and page.curves.doing is None", 240)
    take("ranks")
    make_and_train(window, take)


def answers(window: Window, take: Callable[[str], None]) -> None:
    """What the base and three ranks say, where they part; then as many as there is room for."""
    window.look("page.choose('reverse')")
    window.look("page.ranks.pin(5)")
    window.look("page.ranks.slide(3)")
    window.look(f"page.ranks.ask({PROMPT!r})")
    rest(window)
    window.until("page.ranks.facts.spectrum is not None")
    take("ranks-panes")
    window.look("[page.ranks.pin(rank) for rank in (1, 2)]")
    window.look("page.ranks.set_order('')")
    rest(window)
    take("ranks-six")
    window.look("(page.ranks.undo(), page.ranks.undo(), page.ranks.undo())")
    rest(window)


def make_and_train(window: Window, take: Callable[[str], None]) -> None:
    window.look("page.side.show_part('making')")
    take("ranks-making")
    window.look("page.side.show_part('training')")
    take("ranks-train")
    window.look("page.training.set(steps=200)")
    window.look("page.training.train()")
    window.until("page.training.job is not None and page.training.job.step >= 60", 240)
    take("ranks-training")
    window.look("page.training.cancel()")
    window.until("not page.training.is_open")
    window.look("page.side.show_part('spectrum')")


def rest(window: Window) -> None:
    """Wait until every pane stands."""
    window.until("all(page.ranks.answers.answer(pane).state == 'done' for pane in page.ranks.panes)")
