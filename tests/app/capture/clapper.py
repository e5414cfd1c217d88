"""Plays a click at given monotonic times into the PulseAudio sink of PULSE_SINK, and silence between.

python clapper.py FIRST EVERY COUNT
"""

import sys
import time

import numpy
import sounddevice

RATE = 48_000
CLICK = (0.8 * numpy.sin(2 * numpy.pi * 1000 * numpy.arange(480) / RATE)).astype(numpy.float32)


def main(first: float, every: float, count: int) -> None:
    due = [first + number * every for number in range(count)]
    stamps: list[tuple[int, float]] = []
    played = 0

    def wanted(out, frames, times, status) -> None:
        nonlocal played
        delay = times.outputBufferDacTime - times.currentTime
        stamps.append((played, time.monotonic() + delay))
        del stamps[:-500]
        out[:] = 0
        # The median over some seconds says when sample 0 was heard; the sink's clock is the system's.
        zero = numpy.median([stamp - at / RATE for at, stamp in stamps])
        for moment in due:
            at = round((moment - zero) * RATE) - played
            begin, end = max(0, at), min(frames, at + len(CLICK))
            if begin < end:
                out[begin:end, 0] = CLICK[begin - at : end - at]
        played += frames

    with sounddevice.OutputStream(
        device="pulse", samplerate=RATE, channels=1, dtype="float32", latency=0.2, callback=wanted
    ):
        time.sleep(max(0.0, due[-1] + 1.0 - time.monotonic()))


main(float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
