"""What the window and the capture process say to each other: commands one way, reports the other.

Times are seconds, levels are dBFS (0 is full scale), offsets milliseconds. Every report carries
the ``light``: what is open and whether it is being recorded, as it was when the report left.

Rules
* Devices is sent at the start and whenever something was plugged in or out; nothing is opened unless told.
* OpenDevices is answered by Opened, or by Trouble about what could not be opened (and Opened with the rest).
* StartRecording is answered by Recording from then on and at the end by exactly one Recorded, or by Trouble
  about "recording" and no Recorded where nothing could be kept.
* Preview, Level, Recording and Position are latest-wins: a slow reader misses some and delays nothing.
* The process closes everything and ends when told to Quit or when its stdin ends.
"""

from app.capture.messages.commands import *  # noqa: F403
from app.capture.messages.common import *  # noqa: F403
from app.capture.messages.reports import *  # noqa: F403
