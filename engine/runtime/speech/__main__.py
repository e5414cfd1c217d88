"""python -m engine.runtime.speech: the process that works on speech for the supervisor that started it."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os

from engine.wire import Wire, die_with_parent


def main() -> None:
    """Start, tell the supervisor, and work until killed."""
    parser = argparse.ArgumentParser(prog="engine.runtime.speech", description=__doc__)
    parser.add_argument("--socket", required=True, help="zmq endpoint of the supervisor")
    parser.add_argument("--token", required=True, help="what this process is known by")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parent", type=int, default=os.getppid(), help="ends when this process does")
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level=logging.INFO)
    die_with_parent(options.parent)
    # Read once, when torch is imported.
    os.environ |= {"OMP_NUM_THREADS": str(options.threads), "MKL_NUM_THREADS": str(options.threads)}
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    import cv2
    import torch

    from engine.runtime.speech.process import SpeechRuntime

    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    with contextlib.closing(Wire(options.socket, options.token)) as wire:
        SpeechRuntime(wire, options.token, options.device).serve()


if __name__ == "__main__":
    main()
