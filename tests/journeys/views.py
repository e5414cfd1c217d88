"""The mixer's other views as pictures: prompts compared, a token explained, a mix scored and being scored."""

from __future__ import annotations

from collections.abc import Callable

from driver import Window

PROMPTS = ["reverse: garden", "sort: garden", "upper: garden"]
ROWS = 40


def photograph(window: Window, take: Callable[[str], None]) -> None:
    """``take(name)`` is called in each state; the desk has a mix on it, and is in front again afterwards."""
    explain(window, take)
    window.look("page.show_view('prompts') is not None")
    compare(window, take)
    window.look("page.show_view('scores') is not None")
    score(window, take)
    window.look("page.show_view('desk') is not None")


def explain(window: Window, take: Callable[[str], None]) -> None:
    window.look(f"(named('mixer.prompt').setText({PROMPTS[0]!r}), mixer.questions.ask({PROMPTS[0]!r}))")
    window.until("all(mixer.answers.answer(pane).state == 'done' for pane in mixer.questions.panes)")
    window.look("page.view.score._explain(4)")
    take("mixer-why")
    window.look("page.view.score.close_why()")


def compare(window: Window, take: Callable[[str], None]) -> None:
    window.look(f"[page.view.prompts.write(place, text) for place, text in enumerate({PROMPTS[:2]})]")
    window.until("page.view.prompts.apart is not None")
    take("prompts-two")
    window.look(f"page.view.prompts.add({PROMPTS[2]!r})")
    window.until("len([slot for slot in page.view.prompts.slots if slot.routing is not None]) == 3")
    window.look("page.view._explain(1, 3)")
    take("prompts-why")
    window.look("(page.view._close(), page.view._show_way('apart'))")
    take("prompts-apart")
    window.look("page.view._show_way('maps')")


def score(window: Window, take: Callable[[str], None]) -> None:
    take("scores-empty")
    window.look(f"page.view.scores.set_plan(limit={ROWS})")
    window.look("page.view.scores.add_set(page.view.scores.offered[-1].path)")
    window.look("page.view.scores.score()")
    window.until("page.view.scores.job is not None and page.view.scores.job.step > 0")
    take("scores-running")
    window.until("page.view.scores.standings is not None", 240)
    take("scores")
