"""A runtime without torch that talks the real messages over the real wire, for tests of the queue.

The name of a job's result says how it behaves: "poison" dies at step 3 of every start, "fragile" at step 3 of
the first one, "broken" reports a failure. A prompt "die" kills the process, "hang" never answers. A
scoring or an export has ten parts and remembers those it has done in the job's folder.
"""

import argparse
import os
import shutil
import signal
import time
from pathlib import Path

import msgspec
import zmq
from mix_on_disk import write_mix

from engine import messages as m
from engine.formats.files import sha256_file
from engine.formats.mix_file import read_mix

STEP_SECONDS = 0.02


class FakeRuntime:
    def __init__(self, options):
        self.options = options
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.connect(options.socket)
        self.parent = int(options.parent)
        self.send(
            m.RuntimeReady(
                base=options.name, device="cpu", pid=os.getpid(), token=options.token, load_seconds=0.0
            )
        )
        self.job, self.step, self.words, self.beat = None, 0, [], 0.0

    def send(self, message):
        self.socket.send(m.encode(message))

    def serve(self):
        while os.getppid() == self.parent:
            if time.monotonic() > self.beat:
                self.beat = time.monotonic() + 0.5
                self.send(m.Heartbeat(token=self.options.token, memory=1 << 20, busy=""))
            while self.socket.poll(1000 * STEP_SECONDS):
                self.take(m.decode_downward(self.socket.recv()))
            if self.job is not None:
                self.work()

    def take(self, message):
        if isinstance(message, m.Cancel):
            self.send(m.Failure(id=message.id, error=m.Error(code="cancelled", message="Cancelled.")))
            return
        match message.body:
            case m.Work(request=m.Generate(prompt="die")):
                os.kill(os.getpid(), signal.SIGSEGV)
            case m.Work(request=m.Generate(prompt="hang")):
                return
            case m.Work(request=m.Compare(voices=voices, prompt=prompt), paths=paths):
                text = prompt + "|" + ",".join(f"{key}={Path(path).name}" for key, path in paths.items())
                rows = [m.Generated(text=text, tokens=1, tokens_per_second=1.0, first_token_seconds=0.1)]
                self.send(m.Result(id=message.id, body=m.Compared(answers=rows * len(voices))))
            case m.Work(request=m.DropExpert(mix=mix, expert=expert), paths=paths):
                experts = read_mix(Path(paths[f"mix:{mix}"])).experts
                write_mix(Path(paths["out"]), "less", [name for name in experts if name != expert], "dropped")
                self.send(m.Result(id=message.id, body=m.Done(path=paths["out"])))
            case m.Work(request=m.Generate(prompt=prompt), paths=paths):
                for index, letter in enumerate(prompt):
                    self.send(m.Progress(id=message.id, body=m.Token(index=index, text=letter)))
                text = prompt + "|" + ",".join(f"{key}={Path(path).name}" for key, path in paths.items())
                answer = m.Generated(text=text, tokens=1, tokens_per_second=1.0, first_token_seconds=0.1)
                self.send(m.Result(id=message.id, body=answer))
            case m.StartJob() as order:
                self.job, self.words = order, ["keep"] if order.keep else []
                self.step = int(order.checkpoint.rpartition("-")[2]) if order.checkpoint else 0
                self.send(m.Result(id=message.id, body=m.Done()))
            case m.SteerJob(action=action):
                self.words.append(action)
                self.send(m.Result(id=message.id, body=m.Done()))

    def work(self):
        order, spec = self.job, self.job.spec
        if self.words:
            word = self.words.pop()
            self.checkpoint()
            self.end({"pause": "paused", "cancel": "cancelled", "keep": "kept"}[word])
            return
        if isinstance(spec, m.ScoreMix | m.ExportMix):
            self.part(order)
            return
        if spec.out == "broken":
            self.end("failed", m.Error(code="failed", message="It broke.", hint="Mend it."))
            return
        self.step += 1
        self.send(
            m.JobStep(
                id=order.id,
                epoch=order.epoch,
                steps_done=[self.step],
                metrics=[{"loss": 1.0 / self.step}],
                steps=spec.steps,
                message="Training.",
                seconds_left=None,
            )
        )
        if self.step == 3 and (spec.out == "poison" or (spec.out == "fragile" and order.epoch == 1)):
            time.sleep(0.1)  # the report leaves before the process does
            os.kill(os.getpid(), signal.SIGKILL)
        if self.step % 5 == 0:
            self.checkpoint()
        if self.step >= spec.steps:
            self.end("done")

    def part(self, order):
        """A tenth of a scoring or an export."""
        arms = Path(order.folder, "arms")
        arms.mkdir(exist_ok=True)
        self.step = len(list(arms.iterdir())) + 1
        time.sleep(STEP_SECONDS)
        (arms / f"{self.step}.json").write_text(str(order.epoch))
        self.send(
            m.JobStep(
                id=order.id,
                epoch=order.epoch,
                steps_done=[self.step],
                metrics=[],
                steps=10,
                message=f"part {self.step}",
                seconds_left=None,
            )
        )
        if self.step == 3 and order.epoch == 1 and order.id == "fragile":
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGKILL)
        if self.step >= 10:
            self.end("done")

    def checkpoint(self):
        if isinstance(self.job.spec, m.ScoreMix | m.ExportMix):
            return
        order = self.job
        folder = Path(order.folder, f"checkpoint-{order.epoch:06d}-{self.step:09d}")
        folder.mkdir(exist_ok=True)
        self.send(m.JobCheckpoint(id=order.id, epoch=order.epoch, step=self.step, folder=str(folder)))

    def end(self, outcome, error=None):
        order, output, made = self.job, "", {"name": getattr(self.job.spec, "out", "")}
        made |= {"steps": self.step, "loss": 0.5}
        if isinstance(order.spec, m.ScoreMix):
            outcome, output = "done" if outcome == "kept" else outcome, str(Path(order.folder, "arms"))
            epochs = [int(path.read_text()) for path in sorted(Path(order.folder, "arms").iterdir())]
            arm = m.ArmScore(name="base", label="Base", arm="base", value=0.5, parameters=max(epochs))
            digest = sha256_file(Path(order.paths[f"mix:{order.spec.mix}"], "mixer.json"))
            made = {"metric": "exact", "n": 4, "arms": [msgspec.to_builtins(arm)], "sha256": digest}
        elif outcome in ("done", "kept"):
            output = str(Path(order.folder, "output"))
            shutil.rmtree(output, ignore_errors=True)
            if isinstance(order.spec, m.TrainRouter | m.TrainJoint):
                write_mix(Path(output), order.spec.out, ["reverse", "sort"])
            else:
                shutil.copytree(Path(self.options.base, "result"), output)
        self.job = None
        self.send(
            m.JobEnded(
                id=order.id,
                epoch=order.epoch,
                outcome=outcome,
                step=self.step,
                output=output,
                result=made,
                error=error,
            )
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("socket", "token", "base", "name", "device", "threads", "parent"):
        parser.add_argument(f"--{name}")
    FakeRuntime(parser.parse_args()).serve()
