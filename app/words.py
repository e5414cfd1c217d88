"""Numbers and kinds as people read them: bytes, durations, counts, what an adapter is."""

from __future__ import annotations

__all__ = ["count", "decibels", "duration", "few", "made_as", "many", "megabytes", "percent", "ranks"]

MADE_AS = {
    "lora": "LoRA",
    "dora": "DoRA",
    "rslora": "LoRA, rank-stabilised",
    "svd": "LoRA, in order of energy",
    "dylora": "DyLoRA, trained at every rank",
}


def megabytes(size: int) -> str:
    """1234567 -> "1.2 MB": decimal units, two figures below ten."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 9.95 else f"{value:.1f} {unit}"


def duration(seconds: float) -> str:
    """75 -> "1:15", 4000 -> "1:06:40"."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def percent(share: float) -> str:
    """0.914 -> "91 %"."""
    return f"{100 * share:.0f} %"


def decibels(level: float) -> str:
    """-5.0 -> "−5": with a minus as wide as a figure."""
    return f"{level:.0f}".replace("-", "\N{MINUS SIGN}")


def count(number: int, one: str, many: str = "") -> str:
    """(1, "adapter") -> "1 adapter", (1200, "adapter") -> "1,200 adapters"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def few(number: int) -> str:
    """1500 -> "1.5k", 20000 -> "20k", 3400000 -> "3.4M": a count where there is room for four signs."""
    value = float(number)
    for unit in ("", "k", "M", "G"):
        if value < 999.5 or unit == "G":
            break
        value /= 1000
    return f"{value:.{1 if unit and value < 9.95 else 0}f}{unit}".replace(f".0{unit}", unit)


def many(number: int) -> str:
    """7241732096 -> "7.2 billion", 860000 -> "860 thousand": as people speak of a model's size."""
    size = 1000 if number < 999_500 else 10**6 if number < 999_500_000 else 10**9
    word = {1000: "thousand", 10**6: "million", 10**9: "billion"}[size]
    return f"{number / size:.{1 if number / size < 9.95 else 0}f} {word}"


def made_as(kind: str) -> str:
    """ "dora" -> "DoRA": the kind of an adapter in words."""
    return MADE_AS.get(kind, kind)


def ranks(kind: str, low: int, highest: int) -> str:
    """("dylora", 1, 8) -> "DyLoRA, every rank 1 to 8", ("lora", 1, 8) -> "Rank 8": at which ranks a file can
    be played as it is."""
    if kind not in ("svd", "dylora") or low == highest:
        return f"Rank {highest}"
    return f"{'DyLoRA, every rank' if kind == 'dylora' else 'In order, ranks'} {low} to {highest}"
