"""Loads the server with good, bad and rude requests at once and judges every answer: load.py --help

Starts the server itself, on this machine. The answers to good requests are those that it gave when it was
idle, byte for byte; every other request has the one answer that its fault must get. A busy server may refuse
what it has no place for (503 with Retry-After), never answer something else. Needs nothing but Python.
"""

import argparse
import asyncio
import base64
import collections
import contextlib
import json
import os
import random
import signal
import socket
import statistics
import sys
import time
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

KEY = "key-of-the-load-test"
FORM = "multipart/form-data; boundary=b"
# What --idle-timeout ends; more than a busy machine keeps this program waiting.
IDLE_TIMEOUT = 5.0
PATIENCE = 120.0
# Seconds from which on memory has settled.
LONG = 300.0
# 127.0.0.1 has a right key and keeps it; wrong ones come from elsewhere, so that both are tested.
STRANGER = "127.0.0.9"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str | None:
        with contextlib.suppress(ValueError):
            return json.loads(self.body).get("error_code")
        return None


@dataclass
class Case:
    """A request and what it must get: a status, and a code or the very bytes of the answer."""

    kind: str
    request: bytes
    status: int
    code: str | None = None
    body: bytes | None = None
    manner: str = "whole"
    # Answers without a body come from what reads HTTP, before the contract begins.
    bare: bool = False

    def fault(self, answer: Answer) -> str | None:
        """What is wrong with the answer."""
        if answer.status == 503:
            right = answer.code == "005" and "retry-after" in answer.headers
            return None if right else f"a 503 that is none: {answer}"
        if self.kind == "wrong key" and answer.status == 429:
            right = answer.code == "001" and "retry-after" in answer.headers
            return None if right else f"a 429 that is none: {answer}"
        if answer.status != self.status:
            return f"{answer.status} {answer.body[:120]!r} instead of {self.status}"
        if self.body is not None and answer.body != self.body:
            return f"{answer.body[:120]!r} instead of {self.body[:120]!r}"
        if not self.bare and self.body is None and answer.code != self.code:
            return f"code {answer.code} instead of {self.code}"
        return None


def head(length: int | None, content_type: str = FORM, key: str = KEY, more: str = "") -> bytes:
    size = "" if length is None else f"Content-Length: {length}\r\n"
    return (
        f"POST /liveness/ HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n"
        f"Content-Type: {content_type}\r\n{size}{more}\r\n"
    ).encode()


def form(image: bytes) -> bytes:
    part = b'Content-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    return b"--b\r\n" + part + image + b"\r\n--b--\r\n"


def upload(image: bytes) -> bytes:
    body = form(image)
    return head(len(body)) + body


def ways(image: bytes) -> list[bytes]:
    """The same image in every form that the contract has."""
    text = base64.b64encode(image).decode()
    as_json = json.dumps({"image_bytes": text}).encode()
    as_form = urllib.parse.urlencode({"image_bytes": text}).encode()
    body = form(image)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in pieces(body, 50_000)) + b"0\r\n\r\n"
    return [
        upload(image),
        head(len(as_json), "application/json") + as_json,
        head(len(as_form), "application/x-www-form-urlencoded") + as_form,
        head(None, more="Transfer-Encoding: chunked\r\n") + chunks,
    ]


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def malformed(image: bytes) -> list[Case]:
    def case(request: bytes, status: int = 400, code: str | None = "004", bare: bool = False) -> Case:
        return Case("malformed", request, status, code, bare=bare)

    def posted(body: bytes, content_type: str, more: str = "") -> bytes:
        return head(len(body), content_type, more=more) + body

    parts = b"".join(b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\ny\r\n' for _ in range(5000))
    return [
        case(posted(b"{}", "application/json")),
        case(posted(b'{"image_bytes":' + b"[" * 50_000, "application/json")),
        case(posted(b'{"image_bytes":"AAAA"}', "application/json"), code="002"),
        case(posted(b'{"image_bytes":"AAAA"}', "application/json", "Content-Encoding: gzip\r\n")),
        case(posted(image, "image/jpeg")),
        case(posted(b"image=abc", "application/x-www-form-urlencoded")),
        case(posted(b"no form", FORM)),
        case(posted(parts + b"--b--\r\n", FORM)),
        case(posted(b"A" * (1 << 20), FORM)),
        case(upload(image[: len(image) // 2]), code="002"),
        case(upload(b"\0" * 100_000), code="002"),
        case(upload(image).replace(b"POST /liveness/", b"POST /liveness/?details=maybe", 1)),
        case(upload(image).replace(b"POST /liveness/", b"POST /liveness/../x", 1), 404),
        case(upload(image).replace(b"POST", b"PUT", 1), 405),
        case(b"\x16\x03\x01 no HTTP at all\r\n\r\n", bare=True),
        case(head(None, more="Content-Length: 1\r\nContent-Length: 2\r\n") + b"ab", bare=True),
    ]


def cases(inputs: Path) -> list[tuple[float, list[Case]]]:
    """Cases with the share of the requests that each group of them has."""
    picture = {path.name: path.read_bytes() for path in inputs.iterdir() if path.suffix != ".base64"}
    portrait = picture["jpeg.jpg"]
    valid = [Case("valid", way, 200) for way in ways(portrait)] + [Case("valid", upload(picture["png-rgb.png"]), 200)]
    attacks = [
        Case("attack", way, 200)
        for name in ("print-attack.jpg", "replay-attack.jpg")
        for way in ways(picture[name])
    ]
    refused = [
        Case("refused", upload(picture["no-face.jpg"]), 422, "051"),
        Case("refused", upload(picture["two-faces.jpg"]), 422, "051"),
        Case("refused", upload(picture["mask.png"]), 422, "052"),
    ]
    endless = head(None, more="Transfer-Encoding: chunked\r\n")
    chunk = b"10000\r\n" + b"A" * 0x10000 + b"\r\n"
    start = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    oversized = [
        Case("oversized", upload(picture["too-large.png"]), 413, "003"),
        Case("oversized", head(50_000_000), 413, "003", manner="once"),
        Case("oversized", endless + b"%x\r\n%b\r\n" % (len(start), start) + chunk * 240, 413, "003", manner="once"),
    ]
    slow = [
        Case("slow, in time", ways(portrait)[0], 200, manner="slow"),
        Case("slow, too late", ways(portrait)[0], 408, "004", manner="stall"),
    ]
    aborted = [Case("aborted", way, 0, manner="abort") for way in ways(portrait)]
    wrong = [Case("wrong key", head(10, key="wrong") + b"0123456789", 401, "001", manner="stranger")]
    return [
        (0.34, valid),
        (0.24, attacks),
        (0.08, refused),
        (0.03, oversized),
        (0.13, malformed(portrait)),
        (0.06, slow),
        (0.08, aborted),
        (0.04, wrong),
    ]


class Connection:
    """One that is opened when needed, and again when the server has ended it."""

    def __init__(self, port: int, source: str = "127.0.0.1"):
        self.port, self.source = port, source
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        if self.writer is None or self.writer.is_closing() or self.reader.at_eof():
            self.close()
            self.reader, self.writer = await asyncio.open_connection(
                "127.0.0.1", self.port, local_addr=(self.source, 0)
            )

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    async def read(self) -> Answer:
        """One answer. Raises where the server ends the connection before it is complete."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.split(":", 1) for line in lines[1:] if line)
        headers = {name.lower(): value.strip() for name, value in pairs}
        status = int(lines[0].split(" ")[1])
        length = 0 if status == 100 else int(headers.get("content-length", 0))
        body = await self.reader.readexactly(length)
        if headers.get("connection") == "close":
            self.close()
        return Answer(status, headers, body)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


@dataclass
class Tally:
    """What happened, by kind."""

    answered: collections.Counter = field(default_factory=collections.Counter)
    refused: collections.Counter = field(default_factory=collections.Counter)
    retried: int = 0
    times: dict[str, list[float]] = field(default_factory=lambda: collections.defaultdict(list))
    faults: list[str] = field(default_factory=list)

    def judge(self, case: Case, answer: Answer, seconds: float) -> None:
        fault = case.fault(answer)
        if fault:
            self.faults.append(f"{case.kind}: {fault}")
        elif answer.status in (429, 503):
            self.refused[case.kind, answer.status] += 1
        else:
            self.answered[case.kind] += 1
            self.times[case.kind].append(seconds)

    def table(self) -> str:
        lines = [f"{'kind':<16}{'answered':>10}{'503':>8}{'429':>6}{'median ms':>11}{'p99 ms':>9}{'longest':>9}"]
        for kind in sorted(self.answered | collections.Counter(kind for kind, _ in self.refused)):
            times = sorted(self.times[kind]) or [float("nan")]
            shown = (times[len(times) // 2], times[int(0.99 * (len(times) - 1))], times[-1])
            lines.append(
                f"{kind:<16}{self.answered[kind]:>10}{self.refused[kind, 503]:>8}{self.refused[kind, 429]:>6}"
                + "".join(f"{1000 * value:>{width}.0f}" for value, width in zip(shown, (11, 9, 9)))
            )
        return "\n".join(lines)


async def perform(case: Case, connection: Connection) -> Answer | None:
    """Sends as the case wants it; `None` where no answer is waited for."""
    await connection.open()
    if case.manner == "abort":
        await connection.send(case.request[: random.randrange(1, len(case.request) + 1)])
        await asyncio.sleep(random.choice((0, 0, 0.05)))
        connection.close()
        return None
    if case.manner in ("slow", "stall"):
        size = len(case.request) // 8 + 1
        parts = pieces(case.request, size)
        for part in parts if case.manner == "slow" else parts[:4]:
            await connection.send(part)
            await asyncio.sleep(0.15)
        answer = await connection.read()
        if case.manner == "stall":
            # The server takes what comes next for the rest of the body.
            connection.close()
        return answer
    sending = asyncio.create_task(connection.send(case.request))
    try:
        # The answer may come before all is sent.
        return await connection.read()
    finally:
        with contextlib.suppress(OSError):
            await sending
        if case.manner == "once" or case.bare:
            connection.close()


async def worker(port: int, groups: list, until: float, tally: Tally) -> None:
    connection, strange = Connection(port), Connection(port, STRANGER)
    weights = [share for share, _ in groups]
    while time.monotonic() < until:
        case = random.choice(random.choices(groups, weights)[0][1])
        used = strange if case.manner == "stranger" else connection
        for attempt in range(3):
            start = time.monotonic()
            fresh = used.writer is None
            try:
                answer = await asyncio.wait_for(perform(case, used), PATIENCE)
            except (OSError, asyncio.IncompleteReadError) as cause:
                used.close()
                # HTTP/1 lets a server end an idle connection just when the next request is on its way.
                if fresh or attempt == 2:
                    tally.faults.append(f"{case.kind} ({case.manner}): no answer: {cause!r}")
                    break
                tally.retried += 1
                continue
            except TimeoutError:
                used.close()
                tally.faults.append(f"{case.kind}: no answer within {PATIENCE} s")
                break
            if answer is None:
                tally.answered[case.kind] += 1
                tally.times[case.kind].append(time.monotonic() - start)
            else:
                tally.judge(case, answer, time.monotonic() - start)
                if answer.status == 503:
                    await asyncio.sleep(int(answer.headers["retry-after"]) * random.uniform(0.2, 1.2))
            break
    connection.close()
    strange.close()


class Server:
    """The program, its memory and its metrics."""

    def __init__(self, program: str, options: argparse.Namespace):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = taken.getsockname()[1]
        self.options, self.program = options, program
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        arguments = {
            "--address": f"127.0.0.1:{self.port}",
            "--max-checks": self.options.checks,
            "--queue": self.options.queue,
            "--idle-timeout": IDLE_TIMEOUT,
            "--log-level": "warn",
        }
        # This program goes first where there is not enough processor for both: a slow sender who is kept
        # waiting would otherwise be one who sends too late.
        self.process = await asyncio.create_subprocess_exec(
            "nice", "-n", "5", self.program, *(str(word) for pair in arguments.items() for word in pair),
            env={**os.environ, "LIVENESS_API_KEYS": KEY}, stdout=asyncio.subprocess.DEVNULL,
        )
        for _ in range(600):
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                if (await self.get("/readyz")).status == 200:
                    return
            await asyncio.sleep(0.1)
        raise SystemExit(f"{self.program} does not get ready")

    async def get(self, path: str) -> Answer:
        connection = Connection(self.port)
        await connection.open()
        await connection.send(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        try:
            return await connection.read()
        finally:
            connection.close()

    async def metrics(self) -> dict[str, float]:
        text = (await self.get("/metrics")).body.decode()
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in lines}

    def memory(self) -> float:
        """Resident megabytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), 60)


async def learn(server: Server, groups: list) -> None:
    """What the idle server says to what has a verdict."""
    connection = Connection(server.port)
    verdicts = {"valid": True, "slow, in time": True, "attack": False}
    for case in (case for _, group in groups for case in group if case.status == 200):
        await connection.open()
        await connection.send(case.request)
        answer = await connection.read()
        live = json.loads(answer.body).get("result", {}).get("liveness")
        if answer.status != 200 or live is not verdicts[case.kind]:
            raise SystemExit(f"{case.kind}: the idle server says {answer}")
        case.body = answer.body
    connection.close()


async def watch(server: Server, memory: list[tuple[float, float]], most: collections.Counter) -> None:
    """Reads memory and gauges until it is cancelled."""
    start = time.monotonic()
    while True:
        memory.append((time.monotonic() - start, server.memory()))
        metrics = await server.metrics()
        for gauge in ("queue_depth", "checks_in_flight", "uploads_in_flight"):
            most[gauge] = max(most[gauge], int(metrics[f"liveness_{gauge}"]))
        await asyncio.sleep(0.5)


def growth(memory: list[tuple[float, float]], seconds: float) -> tuple[float, float]:
    """Resident memory after the first minute and at the end, medians of a window of the run's tenth."""
    early = min(60.0, seconds / 3)
    window = max(seconds / 10, 3.0)
    at = [[size for when, size in memory if low <= when <= low + window] for low in (early, seconds - window)]
    return statistics.median(at[0]), statistics.median(at[1])


async def mixed(server: Server, groups: list, options: argparse.Namespace) -> list[str]:
    """All kinds at once, for the time that was asked for."""
    tally, memory, most = Tally(), [], collections.Counter()
    watching = asyncio.create_task(watch(server, memory, most))
    until = time.monotonic() + options.seconds
    await asyncio.gather(*(worker(server.port, groups, until, tally) for _ in range(options.connections)))
    if watching.done():
        watching.result()
    watching.cancel()
    faults = tally.faults
    for _ in range(100):
        metrics = await server.metrics()
        if not any(metrics[f"liveness_{gauge}"] for gauge in most):
            break
        await asyncio.sleep(0.1)
    else:
        faults.append(f"something is left behind: {metrics}")
    # Whoever goes from waiting to being checked is counted as waiting for a moment more.
    waiting = options.queue + options.checks
    bounds = {"queue_depth": waiting, "checks_in_flight": options.checks, "uploads_in_flight": 64}
    faults += [f"{gauge} was {most[gauge]}" for gauge, bound in bounds.items() if most[gauge] > bound]
    given = sum(value for name, value in metrics.items() if name.startswith("liveness_verdicts_total"))
    received = sum(tally.answered[kind] for kind in ("valid", "attack", "slow, in time")) + options.learned
    if not received <= given <= received + tally.answered["aborted"]:
        faults.append(f"{given:.0f} verdicts were given, {received} received")
    early, late = growth(memory, options.seconds)
    rest = server.memory()
    # The allocator keeps some freed memory for each thread, and threads come and go. A short run begins
    # to count before all of them are there.
    slack = 16 if options.seconds >= LONG else 48
    if max(late, rest) > 1.1 * early + slack:
        faults.append(f"memory grew from {early:.0f} MB to {late:.0f} MB under load, {rest:.0f} MB after it")
    if not any(status == 503 for _, status in tally.refused):
        faults.append("the queue was never full: nothing was shown about its bound")
    print(tally.table())
    print(
        f"{options.connections} connections, {options.seconds:.0f} s, {tally.answered.total()} answers as they must be, "
        f"{sum(tally.refused.values())} refused for now, {tally.retried} repeated on a connection that had ended\n"
        f"most at once: {dict(most)}; resident memory {early:.1f} MB early, {late:.1f} MB at the end, "
        f"{max(size for _, size in memory):.1f} MB at most, {rest:.1f} MB after it"
    )
    return faults


async def last(server: Server, case: Case, counts: collections.Counter, faults: list[str], ended: asyncio.Event) -> None:
    """Asks for permission to send until the server accepts no more: what it permits it must answer."""
    start, body = case.request.split(b"\r\n\r\n", 1)
    while True:
        connection, accepted = Connection(server.port), False
        try:
            await connection.open()
            await connection.send(start + b"\r\nExpect: 100-continue\r\n\r\n")
            answer = await connection.read()
            if answer.status == 100:
                accepted = True
                counts["accepted"] += 1
                counts["accepted before the signal"] += not ended.is_set()
                await connection.send(body)
                answer = await connection.read()
                counts["answered after the signal"] += ended.is_set()
            fault = case.fault(answer)
            if fault:
                faults.append(fault)
        except (OSError, asyncio.IncompleteReadError) as cause:
            if accepted:
                faults.append(f"an accepted request was lost: {cause!r}")
            if ended.is_set():
                return
        finally:
            connection.close()


async def stopped(server: Server, groups: list, options: argparse.Namespace) -> list[str]:
    """SIGTERM in the middle of full load."""
    good = [case for _, group in groups for case in group if case.body and case.manner == "whole"]
    good = [case for case in good if b"Transfer-Encoding" not in case.request[:300]]
    counts, faults, ended = collections.Counter(), [], asyncio.Event()
    senders = [
        asyncio.create_task(last(server, random.choice(good), counts, faults, ended))
        for _ in range(options.connections)
    ]
    await asyncio.sleep(3)
    ended.set()
    status = await server.stop()
    await asyncio.wait_for(asyncio.gather(*senders), 60)
    if status != 0:
        faults.append(f"the server ended with {status}")
    if not counts["answered after the signal"]:
        faults.append("nothing was running when the signal came")
    print(f"SIGTERM under load: {dict(counts)}, lost {sum('lost' in fault for fault in faults)}")
    return faults


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", type=Path, help="pictures of the conformance suite: target/conformance/inputs")
    parser.add_argument("--server", default="target/release/liveness-server", help="the program")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--stops", type=int, default=2, help="how often the server is stopped under load")
    parser.add_argument("--checks", type=int, default=2)
    parser.add_argument("--queue", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random.seed(options.seed)
    groups = cases(options.inputs)
    options.learned = sum(case.status == 200 for _, group in groups for case in group)
    server = Server(options.server, options)
    faults: list[str] = []
    try:
        await server.start()
        await learn(server, groups)
        faults += await mixed(server, groups, options)
        for number in range(options.stops):
            if number:
                await server.start()
            faults += await stopped(server, groups, options)
    finally:
        if server.process and server.process.returncode is None:
            server.process.kill()
    for fault, count in collections.Counter(faults).most_common(20):
        print(f"FAULT ({count}): {fault}", file=sys.stderr)
    print(f"{1 - min(len(faults), 1)} passed, {min(len(faults), 1)} failed")
    return min(len(faults), 1)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
