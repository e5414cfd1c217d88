"""PortAudio, loaded when it is needed, with its troubles as sentences and its devices by lasting names."""

from __future__ import annotations

from typing import Any

from app.capture.messages import Device
from engine.formats.errors import StudioError

__all__ = ["PortAudio"]


class PortAudio:
    """The devices that PortAudio knows. It looks only when it is initialised, and can only be initialised
    anew while no stream is open: ``streams`` counts them."""

    def __init__(self) -> None:
        self.streams = 0
        self._module: Any = None

    @property
    def library(self) -> Any:
        """The module sounddevice. StudioError where PortAudio is not installed or does not start."""
        if self._module is None:
            try:
                import sounddevice
            except (ImportError, OSError) as error:
                raise StudioError(
                    "missing",
                    "The sound library PortAudio is not installed, so there is neither microphone nor "
                    "loudspeaker.",
                    "Install it (Debian and Ubuntu: apt-get install libportaudio2) and start again.",
                    str(error),
                ) from error
            except Exception as error:  # PortAudio's own, which cannot be imported either
                raise self.explain(error, "The system's sound") from error
            self._module = sounddevice
        return self._module

    def look_again(self) -> None:
        """Initialise anew, unless a stream is open. StudioError as ``library``."""
        library = self.library
        if self.streams:
            return
        try:
            library._terminate()
            library._initialize()
        except library.PortAudioError as error:
            raise self.explain(error, "The system's sound") from error

    def devices(self, kind: str) -> list[Device]:
        """``kind`` "input" or "output". Ids are host and name, with a number where two are alike."""
        return [device for device, _ in self._listed(kind)]

    def index(self, id: str, kind: str) -> int:
        """PortAudio's number of the device ``id`` for now; "" is the system's own. StudioError("missing")
        when there is none."""
        listed = self._listed(kind)
        for device, index in listed:
            if device.id == id or (not id and device.default):
                return index
        if not id and listed:
            return listed[0][1]
        what = "microphone" if kind == "input" else "loudspeaker"
        if not id:
            raise StudioError("missing", f"There is no {what}.", "Plug one in and try again.")
        raise StudioError(
            "missing",
            f"The {what} “{id.partition(':')[2] or id}” is not there any more.",
            "Plug it in again, or choose another one.",
        )

    def explain(self, error: Exception, what: str) -> StudioError:
        """A PortAudioError while ``what`` ("the microphone ...") was being opened or used."""
        return StudioError(
            "busy",
            f"{what} cannot be used.",
            "Close other programs that use it, check the system's sound and privacy settings, and try again.",
            f"{type(error).__name__}: {error}",
        )

    def _listed(self, kind: str) -> list[tuple[Device, int]]:
        library = self.library
        hosts = library.query_hostapis()
        preferred = library.default.device[0 if kind == "input" else 1]
        found: list[tuple[Device, int]] = []
        seen: dict[str, int] = {}
        for index, device in enumerate(library.query_devices()):
            if not device[f"max_{kind}_channels"]:
                continue
            id = f"{hosts[device['hostapi']]['name']}:{device['name']}"
            seen[id] = seen.get(id, 0) + 1
            if seen[id] > 1:
                id = f"{id} #{seen[id]}"
            found.append((Device(id=id, name=device["name"], default=index == preferred), index))
        return found
