"""Measures what a stranger's connection takes of the server's memory: connections.py --help

Starts the server anew for each measurement, opens connections that send or leave unread what takes most, and prints
resident memory for each of them: the figures of docs/server-security.md. Needs Python and openssl.
"""

import argparse
import contextlib
import functools
import os
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HEADERS, SETTINGS, WINDOW_UPDATE, CONTINUATION = 1, 4, 8, 9
END_STREAM, END_HEADERS = 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# More than the server answers at once on a connection; it refuses the others.
REQUESTS = 20
# It ends a connection of which it has refused a thousand.
TURNS = 50
# More than it reads ahead in HTTP/1.
PIPELINED = 400
# Of the 16 KiB that a header may have.
NEARLY_ALL = 15 << 10
ROUTES = ["/healthz", "/nothing", "/", "/page.js", "/openapi.json", "/metrics"]
# A server that waits for as long keeps all connections until they are measured.
PATIENCE = "600"

Manner = Callable[[socket.socket], None]


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def preface(window: int) -> bytes:
    """The begin of a connection whose peer takes so many bytes of each answer."""
    settings = b"\x00\x04" + window.to_bytes(4, "big")
    return PREFACE + frame(SETTINGS, 0, 0, settings) + frame(WINDOW_UPDATE, 0, 0, b"\x40\x00\x00\x00")


def block(path: str) -> bytes:
    """The header of a GET, in HPACK without compression."""
    return b"\x82\x86" + b"\x04" + bytes([len(path)]) + path.encode() + b"\x01\x01a"


def requests(path: str, turn: int = 0) -> bytes:
    first = 1 + 2 * REQUESTS * turn
    streams = range(first, first + 2 * REQUESTS, 2)
    return b"".join(frame(HEADERS, END_HEADERS | END_STREAM, stream, block(path)) for stream in streams)


def unfinished(stream: int) -> bytes:
    """A header of many small fields: each counts as 32 bytes more than it has, and takes more than that."""
    fields = b"".join(b"\x40\x03%03d\x00" % number for number in range(NEARLY_ALL // 35))
    return frame(HEADERS, END_STREAM, stream, block("/")) + frame(CONTINUATION, 0, stream, fields)


def request(path: str, connection: str = "keep-alive") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: {connection}\r\n\r\n".encode()


def send(*pieces: bytes) -> Manner:
    return lambda connection: connection.sendall(b"".join(pieces))


def fill(begin: bytes, asked: Callable[[int], bytes], end: bytes = b"") -> Manner:
    """Asks without reading for more than the system has room for, with time to answer before more is asked."""

    def manner(connection: socket.socket) -> None:
        connection.sendall(begin)
        connection.settimeout(0.05)
        with contextlib.suppress(OSError):
            for turn in range(TURNS):
                connection.sendall(asked(turn))
                time.sleep(0.002)
            connection.sendall(end)

    return manner


def manners() -> dict[str, tuple[bool, Manner]]:
    """What a peer may do, by its name in the table, and whether it does so in HTTP/2."""
    header = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * NEARLY_ALL
    result = {
        "HTTP/1, hardly anything sent": (False, send(b"G")),
        "HTTP/1, header unfinished": (False, send(header)),
        "HTTP/2, hardly anything sent": (True, send(preface(0))),
        "HTTP/2, header unfinished": (True, send(preface(0), unfinished(1))),
    }
    for path in ROUTES:
        pipelined = request(path) * PIPELINED
        result[f"HTTP/1, {path} unread"] = (False, fill(b"", lambda _, again=pipelined: again))
        result[f"HTTP/2, {path} unread"] = (True, send(preface(0), requests(path)))
        most = send(preface(0), requests(path), unfinished(1 + 2 * REQUESTS))
        result[f"HTTP/2, {path} unread, header unfinished"] = (True, most)
    wide, pages = preface(2**31 - 1), functools.partial(requests, "/page.js")
    last = unfinished(1 + 2 * REQUESTS * TURNS)
    result["HTTP/2, nothing read"] = (True, fill(wide, pages))
    result["HTTP/2, nothing read, header unfinished"] = (True, fill(wide, pages, last))
    return result


class Server:
    """A process of its own for each measurement: what it has freed may stay with it."""

    def __init__(self, program: str, certificate: Path | None):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.address = taken.getsockname()
        address = "{}:{}".format(*self.address)
        words = [program, "--address", address, "--log-level", "error", "--header-timeout", PATIENCE]
        if certificate:
            words += ["--tls-cert", str(certificate), "--tls-key", str(certificate)]
        self.process = subprocess.Popen(words, env={**os.environ, "LIVENESS_API_KEYS": "k"}, stdout=subprocess.DEVNULL)
        self.context = ssl.create_default_context(cafile=certificate) if certificate else None

    def connect(self, http2: bool) -> socket.socket:
        connection = socket.socket()
        # Little, so that the system soon takes no more of the answers.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(self.address)
        if self.context is None:
            return connection
        self.context.set_alpn_protocols(["h2" if http2 else "http/1.1"])
        return self.context.wrap_socket(connection, server_hostname="localhost")

    def warm(self) -> None:
        """Waits until it is ready, and asks once for everything, so that what is made once is there."""
        for path in ["/readyz", *ROUTES]:
            while not self._answers(path):
                time.sleep(0.1)

    def _answers(self, path: str) -> bool:
        with contextlib.suppress(OSError), self.connect(False) as connection:
            connection.sendall(request(path, "close"))
            return b" 503 " not in connection.recv(100)
        return False

    def memory(self) -> int:
        """Resident kilobytes, as soon as they no longer change."""
        former = -1
        while (size := self._resident()) != former:
            former = size
            time.sleep(1)
        return size

    def _resident(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/status").read_text().split("VmRSS:")[1].split()[0])


def measure(server: Server, http2: bool, manner: Manner, count: int) -> float:
    """Kilobytes for each of so many connections."""
    connections = []
    try:
        server.warm()
        before = server.memory()
        for _ in range(count):
            connections.append(server.connect(http2))
            manner(connections[-1])
        return (server.memory() - before) / count
    finally:
        server.process.kill()
        server.process.wait()
        for connection in connections:
            connection.close()


def make_certificate(folder: Path) -> Path:
    key, certificate, both = folder / "key.pem", folder / "cert.pem", folder / "both.pem"
    words = "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate]
    subprocess.run([*words.split(), *names], check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="target/release/liveness-server", help="the program")
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--only", default="", help="measure what has this in its name")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        certificate = make_certificate(Path(folder))
        for name, (http2, manner) in manners().items():
            if options.only not in name:
                continue
            servers = (Server(options.server, tls) for tls in (None, certificate))
            plain, tls = (measure(server, http2, manner, options.connections) for server in servers)
            print(f"{name}: {plain:.1f} kB, with TLS {tls:.1f} kB", flush=True)


if __name__ == "__main__":
    main()
