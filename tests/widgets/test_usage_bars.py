"""Usage bars: as long as the share, in the expert's colour, and read aloud."""

from __future__ import annotations

from widgets.theme import theme
from widgets.usage_bars import UsageBars


def test_bars_are_as_long_as_the_shares(qtbot, scheme, colours):
    bars = UsageBars("Usage")
    qtbot.addWidget(bars)
    bars.set_shares({"reverse": 0.75, "sort": 0.25}, {"reverse": 0, "sort": 1})
    bars.resize(300, bars.sizeHint().height())
    bars.show()
    found = colours(bars)
    longer, shorter = found[theme.expert(0).name()], found[theme.expert(1).name()]
    assert 2.7 < longer / shorter < 3.3
    assert bars.accessibleDescription() == "reverse 0.75, sort 0.25"
