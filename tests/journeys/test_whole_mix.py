"""Lock, train together, grow, shrink and take a mix away, in the real window: by mouse, then by keyboard."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.display

PAIR = ["reverse", "sort"]


def open_mixer(window):
    window.key("ctrl+3")
    window.until("mixer is not None and len(mixer.stock.adapters) >= 5 and mixer.data is not None")


def few_rows(tmp_path):
    """A data file of reversed and sorted words, small enough for a journey."""
    words = [
        f"{one}{other}" for one in ("ba", "de", "fu", "mi") for other in ("lok", "nar", "tes", "vim", "rup")
    ]
    rows = [{"prompt": f"reverse: {word}", "completion": word[::-1]} for word in words]
    rows += [{"prompt": f"sort: {word}", "completion": "".join(sorted(word))} for word in words]
    path = tmp_path / "few.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows * 3))
    return str(path)


def asked(window, prompt):
    """Ask by keyboard, and wait until every pane has answered."""
    window.key("ctrl+l")
    window.until("focus() == 'mixer.prompt'")
    window.key("ctrl+a")
    window.write(prompt)
    window.key("Return")
    answered(window)


def answered(window):
    window.until(
        "not mixer.questions.is_settling"
        " and all(mixer.answers.answer(pane).state == 'done' for pane in mixer.questions.panes)",
        60,
    )


def test_by_mouse(window, tmp_path):
    """Two experts learn together, one is locked, and the mix leaves as a folder."""
    open_mixer(window)
    window.look(f"[mixer.drop(name) for name in {PAIR}]")
    window.click("mixer.router.lesson.joint")
    window.until("named('mixer.data.sort').currentText() == 'sort'")
    window.scroll("mixer.data.sort", 9)
    window.click("mixer.router.more")
    window.until("named('mixer.router.steps').isVisible()")
    window.pause(0.3)
    window.scroll("mixer.router", 2)
    window.click("mixer.router.steps")
    window.key("ctrl+a", "1", "6", "Tab")
    window.until("mixer.desk.joint.steps == 16")
    window.click("mixer.router.train")
    window.until("mixer.training.is_open")
    window.until("named('mixer.router.stage').text().startswith('Stage 1 of 2')")
    window.until("'sort' in named('mixer.curves.loss').series")
    window.until("named('mixer.curves.held').isVisible()")
    window.until("mixer.desk.mix == 'mix-1'", 180)
    assert window.look("mixer.mix.made") == "joint"

    asked(window, "sort: garden")
    window.click("mixer.desk.strip.reverse.lock")
    window.until("mixer.desk.locked == ['reverse']")
    answered(window)
    reverse = window.look("mixer.routing.experts.index('reverse')")
    assert window.look(f"min(gates[{reverse}] for token in mixer.routing.gates for gates in token)") == 1.0

    window.scroll("mixer.router", -20)
    window.click("mixer.router.export")
    window.until("named('mixer.export').isVisible()")
    folder = tmp_path / "taken"
    window.click("mixer.export.folder")
    window.key("ctrl+a")
    window.write(str(folder))
    window.click("mixer.export.run")
    window.until("named('mixer.export.show').isVisible()")
    assert (folder / "mixer.json").is_file()
    assert sorted(path.name for path in (folder / "experts").iterdir()) == PAIR


def test_by_keyboard_alone(window, tmp_path):
    """A mix grows by an expert, loses one, is thrown away and fetched back, and leaves as a LoRA."""
    window.point(1900, 1060)
    open_mixer(window)
    window.look(f"[mixer.drop(name) for name in {PAIR}]")
    window.look(f"mixer.choose_data({few_rows(tmp_path)!r})")
    window.until("mixer.data.name == 'few'")
    window.key("ctrl+t")
    window.until("mixer.desk.mix == 'mix-1'", 120)

    tab_to(window, "mixer.desk.strip.sort")
    window.key("l")
    window.until("mixer.desk.locked == ['sort']")
    window.key("ctrl+z")
    window.until("mixer.desk.locked == []")

    window.look("mixer.drop('upper')")
    window.until("not mixer.playing.has_router")
    tab_to(window, "mixer.router.bring")
    window.key("space")
    window.until("mixer.desk.mix == 'mix-2'", 120)
    assert window.look("mixer.mix.made") == "extended"
    asked(window, "upper: garden")
    assert window.look("mixer.routing.experts") == [*PAIR, "upper", "null"]

    tab_to(window, "mixer.desk.strip.upper")
    window.key("Delete")
    tab_to(window, "mixer.router.without")
    window.key("space")
    window.until("mixer.desk.mix == 'mix-2-without-upper'")
    tab_to(window, "mixer.router.remove")
    window.key("space")
    window.until("'mix-2-without-upper' not in mixer.stock.mixes")
    window.key("ctrl+z")
    window.until("mixer.playing.has_router and mixer.desk.mix == 'mix-2-without-upper'")

    window.key("ctrl+shift+e")
    window.until("named('mixer.export').isVisible() and focus().startswith('mixer.export')")
    tab_to(window, "mixer.export.kind.folder")
    window.key("Right", "space")
    window.until("mixer.export.plan.kind == 'lora'")
    window.look(
        "[mixer.export.take(data, data.name == 'few') for data in (*mixer.export.plan.data, mixer.data)]"
    )
    tab_to(window, "mixer.export.rank")
    window.key("ctrl+a", "4")
    tab_to(window, "mixer.export.folder")
    window.key("ctrl+a")
    folder = tmp_path / "lora"
    window.write(str(folder))
    window.key("Return")
    window.until("named('mixer.export.show').isVisible()", 120)
    assert "Rank 4" in window.look("mixer.export.measured")
    assert json.loads((folder / "adapter_config.json").read_text())["r"] == 4


def tab_to(window, name, most=80):
    for _ in range(most):
        if window.look("focus()") == name:
            return
        window.key("Tab")
    raise AssertionError(f"Tab never reached {name}; the last stop was {window.look('focus()')}")
