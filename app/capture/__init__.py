"""Camera, microphone and loudspeaker, in a process of their own.

`python -P -m app.capture` serves the window: commands come in on stdin, reports go out on stdout
(`messages`, framed by `frames`). `python -P -m app.capture record` makes one clip. Neither Qt nor torch.
"""
