"""What a busy machine adds to a measured time."""

from pathlib import Path

__all__ = ["in_line"]


def in_line(pid: int) -> float:
    """Seconds for which a process has waited for a processor that others had; 0 where no system tells."""
    schedule = Path(f"/proc/{pid}/schedstat")
    return int(schedule.read_text().split()[1]) / 1e9 if schedule.exists() else 0.0
