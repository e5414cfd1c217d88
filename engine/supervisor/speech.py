"""What is asked of speech: which models there are, what is said in a clip, models that come and go."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from pathlib import Path
from typing import Any

from engine import messages
from engine.formats.errors import StudioError
from engine.messages import Body, SpeechCard, Work
from engine.supervisor.entry import origin_now
from engine.supervisor.home import Home
from engine.supervisor.jobs import Jobs
from engine.supervisor.library import Library
from engine.supervisor.live import Say
from engine.supervisor.runtimes import Runtimes
from engine.supervisor.speech_cards import Sense
from engine.supervisor.speech_intake import inspect, make_ready

__all__ = ["SpeechDesk"]

OfClip = messages.LookAtClip | messages.Transcribe | messages.AddNoise
Asked = OfClip | messages.WarmUpSpeech


class SpeechDesk:
    """Answers for the speech shelf, and asks the speech runtime for what needs a model."""

    def __init__(self, home: Home, library: Library, jobs: Jobs, runtimes: Runtimes) -> None:
        self._home = home
        self._library = library
        self._jobs = jobs
        self._runtimes = runtimes

    async def perform(self, body: Any, say: Say) -> Body:
        """The answer to a request of ``requests.SPEECH``. StudioError when it cannot be given."""
        shelf = self._library.speech
        match body:
            case messages.ListSpeech():
                return await asyncio.to_thread(self._all)
            case messages.LookAtClip() | messages.Transcribe() | messages.AddNoise():
                return await self._ask(body, say)
            case messages.WarmUpSpeech(model=model):
                return await self._work(body, await self._paths_of(model), say)
            case messages.InspectSpeech(path=path):
                return await asyncio.to_thread(inspect, path)
            case messages.ImportSpeech():
                return await self._import(body)
            case messages.RemoveSpeech(name=name):
                return messages.Done(path=await shelf.remove(name))
            case messages.RestoreSpeech(path=path):
                name = await shelf.restore(path)
                return await asyncio.to_thread(shelf.find, name)
        raise StudioError("protocol", f"A client may not ask for {type(body).__name__}.")

    def _all(self) -> messages.SpeechModels:
        shelf = self._library.speech
        clips = str(self._home.clips)
        return messages.SpeechModels(models=shelf.cards(), examples=shelf.examples(), clips=clips)

    async def _ask(self, request: OfClip, say: Say) -> Body:
        clip = Path(request.clip).expanduser().absolute()
        if not clip.is_file():
            raise StudioError("data", f"There is no file {clip}.", "Choose a sound or video file.")
        paths = {"clip": str(clip)}
        if isinstance(request, messages.Transcribe):
            paths |= await self._paths_of(request.model)
        elif isinstance(request, messages.AddNoise):
            paths["out"] = str(self._home.tmp / f"noise-{uuid.uuid4().hex}.wav")
        return await self._work(request, paths, say)

    async def _paths_of(self, model: str) -> dict[str, str]:
        card = await asyncio.to_thread(self._library.speech.find, model)
        return {f"speech:{card.name}": card.path}

    async def _work(self, request: Asked, paths: dict[str, str], say: Say) -> Body:
        runtime = await self._runtimes.speech(lambda text: say(messages.Said(text=text)))
        return await self._runtimes.ask(runtime, Work(request=request, paths=paths), say)

    async def _import(self, request: messages.ImportSpeech) -> SpeechCard:
        """Make what comes in ready in the home's tmp; it appears by one rename."""
        shelf, library = self._library.speech, self._library
        self._jobs.check_free("speech", request.out)
        named: dict[Sense, str] = {"ear": request.ear, "eye": request.eye, "llm": request.llm}
        parts = {sense: library.speech_part(sense, part) for sense, part in named.items() if part}
        ready = self._home.tmp / f"speech-{uuid.uuid4().hex}"
        origin = origin_now(path=str(Path(request.path).expanduser().absolute()))
        try:
            await asyncio.to_thread(make_ready, request, parts, ready)
            self._jobs.check_free("speech", request.out)
            await shelf.adopt(ready, request.out, origin)
        finally:
            await asyncio.to_thread(shutil.rmtree, ready, ignore_errors=True)
        return await asyncio.to_thread(shelf.find, request.out)
