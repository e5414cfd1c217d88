"""Numbers of bytes as people read them."""

import pytest

from engine.formats.sizes import as_size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.00 kB"),
        (9_994, "9.99 kB"),
        (9_996, "10.0 kB"),
        (99_960, "100 kB"),
        (999_499, "999 kB"),
        (999_600, "1.00 MB"),
        (13_500_000_000, "13.5 GB"),
        (5e15, "5000 TB"),
    ],
)
def test_three_digits_and_the_unit_that_suits(count, text):
    assert as_size(count) == text
