"""A drawn head that a Haar cascade takes for a face, and recordings of it."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy


def head(x, y, radius, opening=8, width=640, height=480):
    """(grey picture, where its mouth is)."""
    picture = numpy.tile(numpy.linspace(120, 190, width).astype(numpy.uint8), (height, 1))

    def oval(dx, dy, w, h, grey, line=-1, arc=(0, 360)):
        middle = (x + round(dx * radius), y + round(dy * radius))
        axes = (max(1, round(w * radius)), max(1, round(h * radius)))
        thick = line if line < 0 else max(1, round(line * radius))
        cv2.ellipse(picture, middle, axes, 0, *arc, grey, thick, cv2.LINE_AA)
        return middle

    oval(0, -0.15, 0.86, 1.25, 60)
    oval(0, 0, 0.75, 1.0, 200)
    for side in (-0.32, 0.32):
        oval(side, -0.2, 0.17, 0.08, 240)
        oval(side, -0.2, 0.07, 0.07, 30)
        oval(side, -0.36, 0.2, 0.05, 50, 0.06, (180, 360))
        oval(side, -0.18, 0.24, 0.16, 165, 0.05)
    oval(0, 0.24, 0.14, 0.05, 130, 0.04, (0, 180))
    oval(0, 0.55, 0.28, 0.07 + opening / radius, 120)
    mouth = oval(0, 0.55, 0.2, opening / radius, 30)
    return cv2.GaussianBlur(picture, (5, 5), 0), mouth


def record(path, times, pictures, sound=None, rate=48000, channels=2):
    """Pictures with their times (seconds) and a sound float [samples], as a file; either may be absent."""
    with av.open(str(path), "w") as file:
        seen = None
        if pictures:
            seen = file.add_stream("mpeg4", rate=1000)
            seen.height, seen.width = pictures[0].shape
            seen.pix_fmt, seen.bit_rate = "yuv420p", 4_000_000
            seen.codec_context.time_base = Fraction(1, 1000)
        heard = None
        if sound is not None:
            heard = file.add_stream("flac", rate=rate, layout="stereo" if channels == 2 else "mono")
        for time, picture in zip(times, pictures, strict=True) if seen else ():
            frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            file.mux(seen.encode(frame))
        if seen:
            file.mux(seen.encode())
        if heard:
            samples = numpy.repeat((sound * 32767).astype(numpy.int16), channels)[None]
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=heard.layout.name)
            frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
            file.mux(heard.encode(frame))
            file.mux(heard.encode())
