#!/usr/bin/env python3
"""Follows a Dockerfile where no Docker engine runs.

Every stage is an overlay over the root of this machine, into which its COPY steps copy and in which
its RUN steps run by chroot, so that the steps are those of the file and the machine stays as it is.
What the base images are, this cannot show: the machine stands in for them. Must run as root in a mount
namespace of its own: unshare --mount.
"""

import argparse
import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HANDLED = {"FROM", "WORKDIR", "COPY", "RUN", "USER", "ENV", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT"}


def instructions(text: str) -> list[tuple[str, str]]:
    """Name and arguments of each instruction, continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    pairs = [line.split(None, 1) for line in joined.splitlines() if line.strip()]
    for name, _ in pairs:
        if name not in HANDLED:
            sys.exit(f"{name} is not handled by {Path(__file__).name}: teach it")
    return [(name, arguments) for name, arguments in pairs]


def context() -> list[Path]:
    """The files that .dockerignore lets into the build."""
    patterns = [line.strip() for line in (ROOT / ".dockerignore").read_text().splitlines()]
    rules = [(line.lstrip("!"), line.startswith("!")) for line in patterns if line and not line.startswith("#")]
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout
    return [Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file() and included(name, rules)]


def included(name: str, rules: list[tuple[str, bool]]) -> bool:
    """The last rule that matches the file or a folder above it counts."""
    parts = name.split("/")
    verdict = True
    for pattern, wanted in rules:
        wild = pattern.split("/")
        if len(wild) <= len(parts) and all(map(fnmatch.fnmatchcase, parts, wild)):
            verdict = wanted
    return verdict


class Stage:
    """One FROM and what follows it."""

    def __init__(self, folder: Path):
        self.upper, self.root = folder / "upper", folder / "root"
        work = folder / "work"
        for path in (self.upper, work, self.root):
            path.mkdir(parents=True)
        mount("-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={self.upper},workdir={work}", str(self.root))
        for path in ("/dev", "/proc", "/sys"):
            mount("--rbind", path, f"{self.root}{path}")
        self.workdir, self.user, self.env = "/", "0:0", {}
        self.healthcheck: list[str] = []
        self.entrypoint: list[str] = []
        self.stop = signal.SIGTERM

    def path(self, inside: str) -> Path:
        return Path(f"{self.root}{os.path.join(self.workdir, inside)}")

    def command(self, arguments: list[str]) -> list[str]:
        return ["chroot", f"--userspec={self.user}", "--groups=", str(self.root),
                "env", f"--chdir={self.workdir}", *arguments]

    def copy(self, arguments: str, stages: dict[str, "Stage"]) -> None:
        words = shlex.split(arguments)
        if words[0].startswith("--from="):
            source, target = words[1], self.path(words[2])
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(stages[words[0].removeprefix("--from=")].path(source), target)
            return
        if words != [".", "."]:
            sys.exit(f"COPY {arguments} is not handled: teach {Path(__file__).name}")
        for name in context():
            target = self.path(str(name))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)

    def run(self, arguments: str, caches: dict[str, str]) -> None:
        mounted = []
        for target in re.findall(r"--mount=type=cache,target=(\S+)", arguments):
            if target in caches:
                self.path(target).mkdir(parents=True, exist_ok=True)
                mount("--bind", caches[target], str(self.path(target)))
                mounted.append(str(self.path(target)))
        script = re.sub(r"--mount=\S+\s*", "", arguments)
        print(f"RUN {script}", flush=True)
        subprocess.run(self.command(["sh", "-ec", script]), check=True, env={**os.environ, **self.env})
        for path in mounted:
            subprocess.run(["umount", path], check=True)

    def files(self) -> list[str]:
        found = (path for path in self.upper.rglob("*") if path.is_file())
        return sorted(f"/{path.relative_to(self.upper)}" for path in found)


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def build(text: str, folder: Path, caches: dict[str, str]) -> Stage:
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for name, arguments in instructions(text):
        if name == "FROM":
            label = arguments.split(" AS ")[1] if " AS " in arguments else "final"
            print(f"FROM {arguments}", flush=True)
            stage = stages[label] = Stage(folder / label)
        elif name == "WORKDIR":
            stage.workdir = arguments
            stage.path("").mkdir(parents=True, exist_ok=True)
        elif name == "COPY":
            print(f"COPY {arguments}", flush=True)
            stage.copy(arguments, stages)
        elif name == "RUN":
            stage.run(arguments, caches)
        elif name == "USER":
            stage.user = arguments
        elif name == "ENV":
            key, value = arguments.split("=", 1)
            stage.env[key] = value
        elif name == "STOPSIGNAL":
            stage.stop = signal.Signals[arguments]
        elif name == "HEALTHCHECK":
            stage.healthcheck = json.loads(arguments.split("CMD", 1)[1])
        elif name == "ENTRYPOINT":
            stage.entrypoint = json.loads(arguments)
    return stages["final"]


def serve(image: Stage, key: str) -> None:
    """Starts the image as compose.yaml does, read-only and not as root, and asks it."""
    mount("-o", "remount,ro", str(image.root))
    # The port of the image may be taken here.
    address = f"127.0.0.1:{free_port()}"
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    env = {"PATH": path, **image.env, "LIVENESS_API_KEYS": key, "LIVENESS_ADDRESS": address}

    def healthy() -> bool:
        return subprocess.run(image.command(image.healthcheck), env=env, stderr=subprocess.DEVNULL).returncode == 0

    if healthy():
        sys.exit("the health check passes although nothing is running")
    server = subprocess.Popen(image.command(image.entrypoint), env=env)
    try:
        deadline = time.monotonic() + 30
        while not healthy():
            if server.poll() is not None or time.monotonic() > deadline:
                sys.exit("the image does not become healthy")
            time.sleep(0.2)
        status = Path(f"/proc/{server.pid}/status").read_text()
        uids = re.search(r"^Uid:\s+(.*)$", status, re.M).group(1).split()
        if set(uids) != {image.user.split(":")[0]} or uids[0] == "0":
            sys.exit(f"the server runs as {uids}")
        with urllib.request.urlopen(f"http://{address}/openapi.json", timeout=5) as answer:
            json.load(answer)
    finally:
        server.send_signal(image.stop)
    if server.wait(timeout=30) != 0:
        sys.exit(f"the server ended with {server.returncode} after {image.stop.name}")
    print(f"healthy, as user {image.user}, on a read-only root; ended by {image.stop.name} with status 0", flush=True)


def pairs(values: list[str]) -> dict[str, str]:
    return dict(value.split("=", 1) for value in values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the stages are laid; must not exist")
    parser.add_argument("--cache", action="append", default=[], metavar="TARGET=FOLDER",
                        help="folder for a cache mount")
    parser.add_argument("--instead", nargs=2, metavar=("TEXT", "TEXT"),
                        help="a shorter command for one that the file must contain")
    arguments = parser.parse_args()
    text = (ROOT / "Dockerfile").read_text()
    if arguments.instead:
        if text.count(arguments.instead[0]) != 1:
            sys.exit(f"the Dockerfile no longer says: {arguments.instead[0]}")
        text = text.replace(*arguments.instead)
    image = build(text, arguments.folder.resolve(), pairs(arguments.cache))
    print("files of the last stage:", *image.files(), flush=True)
    serve(image, "docker-test-key")


if __name__ == "__main__":
    main()
