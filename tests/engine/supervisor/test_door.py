"""Who may come in at the engine's socket."""

import asyncio
import os
import signal
import stat
import subprocess
import sys

import pytest
import zmq

from engine import messages as m
from engine.supervisor import door


class Frame:
    def __init__(self, peer):
        self.peer = peer

    def get(self, what):
        assert what == "Peer-Address"
        return self.peer


@pytest.mark.skipif(sys.platform == "win32", reason="sockets have no modes there")
def test_the_socket_is_for_this_user_alone(tmp_path):
    async def open_and_look():
        entrance = door.Door.__new__(door.Door)
        entrance._context = entrance._router = entrance._monitor = None
        entrance.open(tmp_path / "engine.sock")
        try:
            return stat.S_IMODE((tmp_path / "engine.sock").stat().st_mode)
        finally:
            entrance._router.disable_monitor()
            entrance._router.close(0)
            entrance._context.destroy(0)

    assert asyncio.run(open_and_look()) == 0o600


@pytest.mark.timeout(60)
def test_calls_that_are_given_up_have_ended_with_all_they_began():
    """A process that is just starting is not left to the end of the loop, which would wait without end."""
    ended = []

    async def perform(body, say):
        child = await asyncio.create_subprocess_exec("sleep", "60", stdout=subprocess.PIPE)
        try:
            await child.wait()
        finally:
            child.kill()
            ended.append(await child.wait())

    async def give_up(turns):
        entrance = door.Door(perform, lambda *_: None, lambda: None, lambda _: None)
        entrance._called(b"someone", "call", m.ListJobs())
        for _ in range(turns):
            await asyncio.sleep(0)
        await entrance.give_up()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    for turns in range(1, 8):
        asyncio.run(give_up(turns))
    assert set(ended) <= {-signal.SIGKILL}


@pytest.mark.skipif(sys.platform == "win32", reason="there are no user numbers there")
def test_another_users_messages_are_dropped():
    mine, other = os.getuid(), os.getuid() + 1
    assert door._same_user(Frame(f"localhost:{mine}:100:4242"))
    assert not door._same_user(Frame(f"localhost:{other}:100:4242"))


@pytest.mark.skipif(sys.platform != "linux", reason="only there the kernel vouches for the other end")
def test_the_kernel_says_who_is_at_the_other_end(tmp_path):
    """The form of the peer's address is libzmq's; were it another one, everybody would be let in."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router, context.socket(zmq.DEALER) as dealer:
        router.bind(f"ipc://{tmp_path}/s")
        dealer.connect(f"ipc://{tmp_path}/s")
        dealer.send(b"x")
        assert router.poll(30_000)
        peer = router.recv_multipart(copy=False)[1].get("Peer-Address").split(":")
        assert len(peer) >= 4 and peer[-3] == str(os.getuid())
