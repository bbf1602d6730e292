"""Devices for tests of the link: the example firmware as a process, and lines that lead to it."""

from __future__ import annotations

import os
import re
import select
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from snngen.fixed import FixedNet
from snngen.targets.c.build import EXAMPLE, host_compiler, write_tree
from snngen.targets.c.emit import emit

CHECKOUT = Path(__file__).parents[1]
FIRMWARE = CHECKOUT / "examples" / "uart"
Change = Callable[[bytes], bytes]


def unchanged(data: bytes) -> bytes:
    return data


def edited(net: FixedNet, file: str, pattern: str, replacement: str) -> dict[str, bytes]:
    """Emitted files of `net` with one place of one of them changed."""
    files = dict(emit(net))
    text, count = re.subn(pattern, replacement, files[file].decode())
    assert count == 1
    return {**files, file: text.encode()}


def build_device(files: Mapping[str, bytes], folder: Path) -> Path:
    """The example firmware with a network's emitted files, for this machine."""
    write_tree(files, folder)
    sources = [name for name in sorted(files) if name.endswith(".c") and name != EXAMPLE]
    sources += [str(FIRMWARE / "main.c"), str(CHECKOUT / "tests" / "link_board.c")]
    include = ["-I.", "-Iruntime", f"-I{FIRMWARE}"]
    command = [*host_compiler(), "-O0", "-Wall", "-Wextra", "-Werror", *include, "-o", "device"]
    done = subprocess.run([*command, *sources], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "device"


class Line:
    """A port whose other end is a program; `sending` and `receiving` may change what passes."""

    sending: Change = staticmethod(unchanged)
    receiving: Change = staticmethod(unchanged)

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self._received = b""

    def write(self, data: bytes) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(self.sending(data))
        return len(data)

    def read(self, size: int) -> bytes:
        assert self._process.stdout is not None
        if not self._received and select.select([self._process.stdout], [], [], 0.02)[0]:
            self._received = self.receiving(os.read(self._process.stdout.fileno(), 4096))
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        self._process.wait(10)


@contextmanager
def on_a_terminal(program: Path) -> Iterator[str]:
    """The name of a serial port behind which `program` runs."""
    controller, terminal = os.openpty()
    name = os.ttyname(terminal)
    with subprocess.Popen([program], stdin=controller, stdout=controller) as process:
        try:
            yield name
        finally:
            process.kill()
            os.close(controller)
            os.close(terminal)


class Relay(threading.Thread):
    """A socket that leads to another one; `sending` and `receiving` may change what passes."""

    sending: Change = staticmethod(unchanged)
    receiving: Change = staticmethod(unchanged)

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._path = path
        self._listening = socket.create_server(("localhost", 0))
        self.url = f"socket://localhost:{self._listening.getsockname()[1]}"
        self.start()

    def run(self) -> None:
        """One connection after the other, until the relay is closed."""
        while True:
            try:
                host, _ = self._listening.accept()
            except OSError:
                return
            with host, socket.socket(socket.AF_UNIX) as device:
                device.connect(str(self._path))
                self._pass_on(host, device)

    def _pass_on(self, host: socket.socket, device: socket.socket) -> None:
        while True:
            for source in select.select([host, device], [], [])[0]:
                data = source.recv(4096)
                if not data:
                    return
                if source is host:
                    device.sendall(self.sending(data))
                else:
                    host.sendall(self.receiving(data))

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@contextmanager
def emulated(program: Path) -> Iterator[Relay]:
    """A micro:bit in QEMU that runs `program`, and the way to its UART."""
    with ExitStack() as stack:
        path = Path(stack.enter_context(TemporaryDirectory(prefix="snngen-"))) / "uart"
        serial = ["-icount", "shift=6", "-serial", f"unix:{path},server=on,wait=off"]
        quiet = ["-display", "none", "-monitor", "none"]
        command = ["qemu-system-arm", "-M", "microbit", "-kernel", str(program), *quiet, *serial]
        process = stack.enter_context(subprocess.Popen(command))
        stack.callback(process.kill)
        while not path.exists():
            assert process.poll() is None
            time.sleep(0.01)
        yield stack.enter_context(closing(Relay(path)))
