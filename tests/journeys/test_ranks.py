"""The rank slides under its answer in the real window: by mouse, by keyboard, 200 times in two seconds."""

from __future__ import annotations

from threading import Timer

import psutil
import pytest

pytestmark = [pytest.mark.alone, pytest.mark.display]

# It says 64 tokens at every rank, and other ones at each.
PROMPT = "upper: the quick brown fox jumps over the lazy dog again and again"
RANKS = range(1, 9)
MOVES = 200
SECONDS = 2.0
# Growth of the window and of the runtime over 400 moves, once 200 have made what is made once.
GROWTH = 12e6
# What a move may cost the window's processor, with all that is said and drawn until the next.
MOVE_MS = 16.0
ENGINE = "shell.client.engine"


def on_the_page(window):
    window.key("ctrl+4")
    window.until("page.objectName() == 'ranks' and len(page.ranks.state.adapters) >= 6")


def answered(window, seconds=60):
    window.until("all(page.ranks.answers.answer(pane).state == 'done' for pane in page.ranks.panes)", seconds)


def live(window):
    return window.look("page.ranks.answers.answer('live').text")


def at(window, rank, above=0):
    """Where a rank stands on the slider, on the screen."""
    y = window.look("named('ranks.slider').handle_rect().center().y()")
    return window.look(f"point('ranks.slider', named('ranks.slider').x_of({rank}), {y - above})")


def truths(window):
    """What the engine says at each rank, asked as a question of its own."""
    window.look("setattr(shell, 'truths', {})")
    for rank in RANKS:
        part = f"messages.Part(name='upper', rank={rank}, order='energy')"
        window.look(
            f"shell.client.ask(messages.Generate(base='starter-llama', prompt={PROMPT!r}, parts=[{part}]),"
            f" lambda body: shell.truths.update({{{rank}: body.text}}))"
        )
    window.until(f"len(shell.truths) == {len(RANKS)}")
    return {int(rank): text for rank, text in window.look("shell.truths").items()}


def watch(window):
    """Note at every token of the live pane its rank, and all that the pane says."""
    window.look("setattr(shell, 'seen', [])")
    window.look(
        "page.ranks.answers.spoke.connect(lambda pane, _: pane == 'live' and shell.seen.append("
        "[page.ranks.state.rank, page.instrument.panes.panes['live'].text.text]))"
    )


def drag_from_the_library(window):
    """From its card onto the rail's button, which opens the page, and into the page."""
    window.key("ctrl+2")
    window.until("named('library-cards').model().rowCount() == 6")
    icon = window.look("place('go-ranks')")
    card = window.look("place('library-cards', row('library-cards', 'reverse'))")
    window.drag(card, icon, [icon[0] + 400, 330], rest=1.0)
    window.until("page.objectName() == 'ranks' and page.ranks.state.adapter is not None")
    assert window.look("page.ranks.state.adapter.name") == "reverse"


def test_by_mouse(window):
    drag_from_the_library(window)
    window.click("ranks.adapter")
    window.key("End", "Return")
    window.until("page.ranks.state.adapter is not None and page.ranks.state.adapter.name == 'upper'")
    assert window.look("page.ranks.panes") == ["base", "rank 8", "live"]
    window.click("ranks.prompt")
    window.write(PROMPT)
    window.click("ranks.ask")
    answered(window)
    true = truths(window)
    assert len(set(true.values())) >= 6
    assert live(window) == true[4]

    watch(window)
    window.drag(at(window, 4), at(window, 7), at(window, 2))
    window.until("page.ranks.state.rank == 2")
    answered(window)
    assert live(window) == true[2]
    seen = window.look("shell.seen")
    assert {rank for rank, _ in seen} >= {2, 3}, "the answer streamed under the moving hand"
    assert [text for rank, text in seen if not true[rank].startswith(text)] == []
    window.look("named('ranks.slider').setFocus()")
    window.key("ctrl+z")
    window.until("page.ranks.state.rank == 4")
    window.key("ctrl+shift+z")
    window.until("page.ranks.state.rank == 2")

    window.click("ranks.pane.live.pin")
    window.until("page.ranks.panes == ['base', 'rank 8', 'rank 2', 'live']")
    answered(window)
    window.press(at(window, 5))
    answered(window)
    assert live(window) == true[5]
    marks(window, true)
    sweep(window, true)
    killed(window, true)


def marks(window, true):
    """The first differing token is where the texts part."""
    first = window.look("{pane: agreement.first for pane, agreement in page.ranks.difference.items()}")
    tokens = "[token.text for token in page.ranks.answers.answer({!r}).tokens]"
    said = window.look(tokens.format("live"))
    for rank in (8, 2):
        other = window.look(tokens.format(f"rank {rank}"))
        assert "".join(other) == true[rank]
        parted = next(i for i, (a, b) in enumerate(zip(said, other, strict=False)) if a != b)
        assert first[f"rank {rank}"] == parted
    assert first["live"] == min(mark for pane, mark in first.items() if pane != "live")


def sweep(window, true):
    """Two hundred moves in two seconds: no stale text, and the window does not grow."""
    window.look("page.ranks.questions.forget()")
    watch(window)
    processes = [psutil.Process(pid) for pid in (window.pid, window.look(f"{ENGINE}.runtimes[0].pid"))]
    window.look("beat()")
    grown, begun = [], processes[0].cpu_times()
    for end in (3, 6, 1):
        places = [at(window, 1 + move * 5 % 8) for move in range(MOVES - 1)] + [at(window, end)]
        took = window.sweep(at(window, window.look("page.ranks.state.rank")), places, SECONDS)
        assert took < 5 * SECONDS  # of a hand that sleeps between its moves
        window.until(f"page.ranks.state.rank == {end}")
        answered(window)
        assert live(window) == true[end]
        assert window.look("page.instrument.panes.panes['live'].text.text") == true[end]
        grown.append([process.memory_info().rss for process in processes])
    seen = window.look("shell.seen")
    assert [text for rank, text in seen if not true[rank].startswith(text)] == []
    late, ended = sorted(window.look("delays()")), processes[0].cpu_times()
    cost = 1000 * (ended.user + ended.system - begun.user - begun.system) / (3 * MOVES)
    growth = [after - before for before, after in zip(grown[0], grown[-1], strict=True)]
    print(
        f"{len(seen)} tokens seen under {3 * MOVES} moves of {cost:.1f} ms each; window and runtime grown by"
        f" {growth} bytes; event loop p99 {late[int(0.99 * len(late))]:.1f} ms, worst {late[-1]:.1f} ms"
    )
    assert max(growth) < GROWTH
    assert cost < MOVE_MS


def killed(window, true):
    """The runtime dies under a drag: a sentence, and the answer comes back where the slider stands."""
    window.look("page.ranks.questions.forget()")
    death = Timer(0.5, psutil.Process(window.look(f"{ENGINE}.runtimes[0].pid")).kill)
    death.start()
    window.drag(at(window, window.look("page.ranks.state.rank")), at(window, 8), at(window, 3))
    death.join()
    window.until("page.ranks.state.rank == 3")
    answered(window)
    assert live(window) == true[3]
    assert any("killed by signal 9" in sentence for sentence in window.look("said()"))


def test_by_keyboard_alone(open_window):
    window = open_window()
    window.point(1900, 1060)
    on_the_page(window)
    window.key("ctrl+k")
    window.write("rank of upper")
    window.key("Return")
    window.until("page.ranks.state.adapter is not None and page.ranks.state.adapter.name == 'upper'")
    window.key("ctrl+l")
    window.write(PROMPT)
    window.key("Return")
    window.until("page.ranks.answers.answer('live').state != 'idle'")
    window.key("ctrl+r")
    window.until("focus() == 'ranks.slider'")
    watch(window)
    window.key("Right", "Right", "Left", "Page_Down", "Home", "shift+Right", "shift+Right", "p", "Right")
    window.until("page.ranks.state.rank == 5 and page.ranks.state.pinned == (8, 4)")
    answered(window)
    true = truths(window)
    assert live(window) == true[5]
    assert window.look("page.ranks.answers.answer('rank 4').text") == true[4]
    seen = window.look("shell.seen")
    assert [text for rank, text in seen if not true[rank].startswith(text)] == []
    window.key("ctrl+z", "ctrl+z")
    window.until("page.ranks.state.pinned == (8,)")
    window.key("ctrl+shift+p")
    window.until("page.ranks.panes == ['base', 'live']")
    window.leave()

    again = open_window()
    on_the_page(again)
    again.until("page.ranks.state.adapter is not None and page.ranks.panes == ['base', 'live']")
    assert again.look("named('ranks.prompt').text()") == PROMPT
