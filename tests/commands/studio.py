"""Commands as programs run them, on one home whose engine stays between them."""

import json
import signal
import subprocess
import sys


class Studio:
    """Runs commands on one home, whose engine stays between them."""

    def __init__(self, home, environment=None):
        self.home = home
        self.environment = environment

    def __call__(self, *arguments, code=0):
        """The JSON object that a command prints; its exit code must be ``code``."""
        done = self.run(*arguments, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        (line,) = done.stdout.splitlines()
        assert "Traceback" not in done.stderr
        return json.loads(line)

    def run(self, *arguments, **options):
        command = [sys.executable, "-m", "engine", "--home", str(self.home), *arguments]
        options = {"env": self.environment} | options
        return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)

    def start(self, *arguments):
        command = [sys.executable, "-m", "engine", "--home", str(self.home), *arguments, "--json"]
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            # Whoever runs the tests in the background has them begin with Ctrl-C ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
