"""The zoo in numbers, after all the rest has run: how many were compared, and how far apart at worst."""

from __future__ import annotations

import pytest

from tests.engine.lora.zoo.recipes import RECIPES


def test_the_zoo_in_numbers(book, capsys):
    if len(book.errors["yardsticks"]) < len(RECIPES):
        pytest.skip("Only part of the zoo was visited.")
    with capsys.disabled():
        print()
        for kind, errors in book.errors.items():
            what, worst = max(errors.items(), key=lambda item: item[1])
            print(f"  {kind:28} {len(errors):4} compared, worst {worst:.1e} ({what})")
    assert len(book.errors["alone"]) >= 60
    assert max(book.errors["alone"].values()) < 1e-5
    assert max(book.errors["mixed"].values()) < 1e-5
