"""A stranger's card: tamed before Qt sees it, nothing fetched, no link opened unseen."""

from __future__ import annotations

import time

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication, QTextDocument
from PySide6.QtWidgets import QAbstractButton, QLabel

from widgets.markdown import LONGEST, tame
from widgets.markdown_view import MarkdownView
from widgets.open_link import OpenLink


@pytest.fixture
def view(qtbot) -> MarkdownView:
    view = MarkdownView("card", "Model card")
    qtbot.addWidget(view)
    view.resize(360, 500)
    return view


def test_the_head_is_left_out_and_the_rest_is_not() -> None:
    assert tame("---\nlicense: mit\ntags:\n- a\n---\n# Title\n") == "# Title\n"
    assert tame("# Title\n---\nno: head\n---\n") == "# Title\n---\nno: head\n---\n"
    assert tame("---\nnever closed\n") == "---\nnever closed\n"


def test_tags_go_and_their_words_and_all_code_stay() -> None:
    text = 'a <b onclick="x()">bold</b> 1 < 2 <!-- no --> <img src="http://x/y.png">\n```\n<b>code</b>\n```\n<DIV\n>'
    assert tame(text) == "a bold 1 < 2  \n```\n<b>code</b>\n```\n<DIV\n>"


def test_what_cannot_be_seen_is_shown() -> None:
    assert tame("a\u202etxt.exe\x1b[31m\x00") == "a[U+202E]txt.exe[U+001B][31m[U+0000]"
    assert tame("tab\tand\r\nline") == "tab\tand\nline"


def test_a_card_without_end_is_cut_and_says_so() -> None:
    text = tame("word " * LONGEST)
    assert len(text) < LONGEST + 100
    assert text.endswith("*The rest of this card is left out: it is too long.*\n")


@pytest.mark.parametrize(
    "text",
    [
        ">" * LONGEST,
        "- " * (LONGEST // 2),
        "\n".join("  " * depth + "- a" for depth in range(240)),
        "a|b|c\n-|-|-\n" + "1|2|3\n" * (LONGEST // 6),
        "|".join("a" * 200) + "\n" + "|".join("-" * 200) + "\n" + ("|".join("b" * 200) + "\n") * 140,
        "[" * LONGEST,
        "[a](" * (LONGEST // 4),
        "*a **b " * (LONGEST // 7),
        "`" * 7 + "a`b" * (LONGEST // 3),
        "".join(f"[a{n}]: http://x/{n}\n" for n in range(3000)) + "".join(f"[a{n}] " for n in range(900)),
        "# a\n" * (LONGEST // 4),
        "![a](x) " * (LONGEST // 8),
        "<" * LONGEST,
        "<div " * (LONGEST // 5),
    ],
    ids=lambda text: text[:8],
)
def test_nothing_takes_long_to_lay_out(view: MarkdownView, text: str) -> None:
    start = time.process_time()
    view.show_markdown(text)
    view.document().size()
    assert time.process_time() - start < 8  # a second and a half at most on a machine of today


def test_pictures_are_words_and_nothing_is_loaded(view: MarkdownView) -> None:
    asked: list[str] = []
    view.loadResource = lambda kind, name: asked.append(name.toString())  # type: ignore[method-assign]
    view.show_markdown("![a curve](http://x/y.png) ![](file:///etc/passwd) [![in a link](d.png)](http://x)")
    view.grab()
    assert view.toPlainText() == "[picture: a curve]  [picture: in a link]", "Qt drops those without words"
    assert asked == []


def test_a_resource_is_refused_whatever_it_is(view: MarkdownView) -> None:
    for kind in QTextDocument.ResourceType:
        for name in ("http://x/y.png", "file:///etc/passwd", "data:image/png;base64,AAAA", ":/icons/x"):
            assert view.loadResource(kind, QUrl(name)) is None


def test_html_that_is_left_is_text(view: MarkdownView) -> None:
    view.show_markdown("<custom-tag onload=x>hello</custom-tag>\n\n<scr<b>ipt>alert(1)</script>\n")
    assert "hello" in view.toPlainText()
    assert "<custom-tag" in view.toPlainText()


def test_a_link_is_told_and_not_followed(view: MarkdownView, monkeypatch, qtbot) -> None:
    opened: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toString()))
    view.show_markdown("[click](https://example.org/a?b=c)")
    with qtbot.waitSignal(view.link) as told:
        view.anchorClicked.emit(QUrl("https://example.org/a?b=c"))
    assert told.args == ["https://example.org/a?b=c"]
    assert opened == []


# --- before a page opens ---


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    pages: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: pages.append(url.toString()))
    return pages


def ask(qtbot, address: str) -> OpenLink:
    dialog = OpenLink(address)
    qtbot.addWidget(dialog)
    dialog.open()
    return dialog


def test_an_address_is_shown_in_full_and_opened_only_then(qtbot, opened) -> None:
    dialog = ask(qtbot, "https://example.org/a/b?c=d")
    shown = dialog.findChild(QLabel, "open-link-address").text().replace("\u200b", "")
    assert shown == "https://example.org/a/b?c=d"
    assert opened == []
    dialog.findChild(QAbstractButton, "open-link-open").click()
    assert opened == ["https://example.org/a/b?c=d"]


def test_letters_of_other_scripts_pose_as_no_other_host(qtbot, opened) -> None:
    dialog = ask(qtbot, "https://huggingf\u0430ce.co/user/model")
    words = " ".join(label.text() for label in dialog.findChildren(QLabel))
    assert "xn--" in words
    dialog.findChild(QAbstractButton, "open-link-cancel").click()
    assert opened == []


@pytest.mark.parametrize("address", ["file:///etc/passwd", "javascript:alert(1)", "ssh://x", "x", "https://"])
def test_what_is_no_page_can_be_copied_only(qtbot, opened, address) -> None:
    dialog = ask(qtbot, address)
    assert dialog.findChild(QAbstractButton, "open-link-open") is None
    dialog.findChild(QAbstractButton, "open-link-copy").click()
    assert QGuiApplication.clipboard().text() == address
    dialog.findChild(QAbstractButton, "open-link-cancel").click()
    assert opened == []
