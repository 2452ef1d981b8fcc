"""Start the command line many times: every run a process of its own, forked from one that has imported it.

A crash loop starts it a hundred times, the tests of what it exports some fifty; importing takes longer than what is
tested. What a forked process does is what a fresh one does: nothing but imports happened before the fork.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil


class Command:
    """One run of the command line."""

    def __init__(self, pid: int, output: Path) -> None:
        self.pid = pid
        self._output = output

    @property
    def running(self) -> bool:
        return psutil.pid_exists(self.pid)

    @property
    def returncode(self) -> int | None:
        """None when it was killed, or still runs."""
        code = self._output.with_suffix(".code")
        return int(code.read_text()) if code.exists() else None

    @property
    def stdout(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="replace")

    @property
    def stderr(self) -> str:
        return self._output.with_suffix(".err").read_text(encoding="utf-8", errors="replace")

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def text(self) -> str:
        """Standard output and standard error."""
        return self.stdout + self.stderr

    def send(self, signum: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signum)

    def wait(self, seconds: float) -> int | None:
        """Return the exit code; raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while self.running:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the command still runs after {seconds} s:\n{self.text}")
            time.sleep(0.005)
        return self.returncode


class Zygote:
    """The process that the commands are forked from. A context manager: leaving it kills what still runs."""

    def __init__(self, folder: Path, *options: str | Path) -> None:
        self._folder = folder
        self._options = [str(option) for option in options]
        self._commands: list[Command] = []
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DOTPEEN_")}
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=inherited
            | {"DOTPEEN_DEBUG": "1", "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200", "PYTHONUTF8": "1"},
        )

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *exception: object) -> None:
        for command in self._commands:
            command.send(signal.SIGKILL)
        self._process.communicate()

    def start(self, *arguments: str | Path, cwd: Path | None = None) -> Command:
        """Start `dotpeen OPTIONS ARGUMENTS`, in this folder or the zygote's."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        output = self._folder / f"command-{len(self._commands)}.out"
        request = [str(output), str(cwd or self._folder), *self._options, *map(str, arguments)]
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        command = Command(int(self._process.stdout.readline()), output)
        self._commands.append(command)
        return command


def _serve() -> None:
    from dotpeen.cli.app import main

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits: a finished command is gone at once
    while line := sys.stdin.readline():
        output, folder, *arguments = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.chdir(folder)
            _become(Path(output), arguments, main)
        print(pid, flush=True)


def _become(output: Path, arguments: list[str], main: object) -> None:
    code = 99
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        files = (
            os.open(os.devnull, os.O_RDONLY),
            os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            os.open(output.with_suffix(".err"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        )
        for target, source in enumerate(files):
            os.dup2(source, target)
        sys.argv = ["dotpeen", *arguments]
        assert callable(main)
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        output.with_suffix(".code").write_text(str(code))
        os._exit(code)


if __name__ == "__main__":
    _serve()
