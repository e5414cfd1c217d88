"""Every message between the window, the command line, the supervisor and its runtimes, typed.

One wire for all of them: a zmq DEALER (window, command line, runtime) talks to the supervisor's ROUTER over a
private ipc socket, one msgpack-encoded struct per message.

    client  -> supervisor:  Call, Cancel, Subscribe
    supervisor -> client:   Progress* then exactly one of Result or Failure for every Call; Event; Gauge
    runtime <-> supervisor: the same Call/Cancel/Progress/Result/Failure, carrying Work, StartJob and SteerJob
                            downwards, and RuntimeReady, Heartbeat, JobStep, JobCheckpoint, JobEnded upwards

Rules that hold everywhere
* Every Call is answered exactly once, a cancelled one with Failure(code="cancelled").
* An Event is durable: it has a sequence number and can be replayed with Subscribe(since=...).
* A Gauge is latest-wins: it may be dropped and is never replayed.
* Paths and numbers cross the wire, tensors never do.
* Structs are frozen and decode strictly: an unknown request or a wrong type is a Failure, not a crash.
"""

from engine.messages.answers import *  # noqa: F403
from engine.messages.common import *  # noqa: F403
from engine.messages.events import *  # noqa: F403
from engine.messages.jobs import *  # noqa: F403
from engine.messages.nouns import *  # noqa: F403
from engine.messages.requests import *  # noqa: F403
from engine.messages.runtime import *  # noqa: F403
from engine.messages.speech import *  # noqa: F403
from engine.messages.wire import *  # noqa: F403
