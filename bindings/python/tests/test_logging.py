"""The library's log lines in the logging module."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import liveness
from liveness import Liveness
from test_engine import run_python


@pytest.fixture(autouse=True)
def _silent_afterwards() -> Iterator[None]:
    yield
    liveness.disable_logging()


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_it_is_silent_at_first(
    engine: Liveness, portrait: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    engine.check(portrait)
    assert lines(caplog) == []


def test_no_file_is_named(engine: Liveness, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    liveness.enable_logging(logging.DEBUG)
    with pytest.raises(liveness.ImageError):
        engine.check("/nowhere/jane-doe.jpg")
    ((level, line),) = lines(caplog)
    assert level == "DEBUG"
    assert "cannot be read" in line
    assert "jane" not in line


def test_arguments_of_a_wrong_type() -> None:
    """A name of a level, which logging takes; and what would fail only at the first line."""
    with pytest.raises(TypeError, match=r"level is a str; give .*logging\.DEBUG"):
        liveness.enable_logging("DEBUG")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"logger is a str; give a logging\.Logger"):
        liveness.enable_logging(logger="liveness")  # type: ignore[arg-type]


def test_levels(engine: Liveness, portrait: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def said(level: int) -> list[str]:
        caplog.clear()
        liveness.enable_logging(level)
        Liveness().close()
        engine.check(portrait)
        with pytest.raises(liveness.RequestError):
            engine.check_pixels(b"", format="RGB", width=1, height=1)
        with pytest.raises(liveness.InternalError):
            Liveness(models="/nowhere")
        assert all(record.name == "liveness" for record in caplog.records)
        return [name for name, _ in lines(caplog)]

    assert said(logging.DEBUG) == ["INFO", "DEBUG", "WARNING", "ERROR"]
    assert said(logging.INFO) == ["INFO", "WARNING", "ERROR"]
    assert said(logging.INFO + 5) == ["WARNING", "ERROR"]
    assert said(logging.WARNING) == ["WARNING", "ERROR"]
    assert said(logging.ERROR) == ["ERROR"]
    assert said(logging.CRITICAL) == []
    assert said(logging.NOTSET) == ["INFO", "DEBUG", "WARNING", "ERROR"]
    liveness.disable_logging()
    caplog.clear()
    engine.check(portrait)
    assert lines(caplog) == []


def test_another_logger(engine: Liveness, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    liveness.enable_logging(logging.DEBUG, logging.getLogger("kyc.selfie"))
    with pytest.raises(liveness.ImageError):
        engine.check(b"100 % no image %s")
    assert [record.name for record in caplog.records] == ["kyc.selfie"]
    assert "002" in caplog.text


def test_lines_from_many_threads(
    engine: Liveness, portrait: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    liveness.enable_logging(logging.DEBUG)
    with ThreadPoolExecutor(4) as pool:
        checks = [pool.submit(engine.check, portrait) for _ in range(20)]
        for _ in range(50):
            liveness.disable_logging()
            liveness.enable_logging(logging.DEBUG)
        for check in checks:
            assert check.result().liveness
    assert all(name == "DEBUG" for name, _ in lines(caplog))


def test_it_cannot_be_changed_from_inside(engine: Liveness, portrait: Path) -> None:
    class Meddling(logging.Handler):
        seen = ""

        def emit(self, _record: logging.LogRecord) -> None:
            try:
                liveness.disable_logging()
            except liveness.RequestError as error:
                Meddling.seen = error.reason

    logger = logging.Logger("meddling")
    logger.addHandler(Meddling())
    liveness.enable_logging(logging.DEBUG, logger)
    assert engine.check(portrait).liveness
    assert "from inside itself" in Meddling.seen


def test_one_that_fails_changes_nothing(engine: Liveness, caplog: pytest.LogCaptureFixture) -> None:
    former, other = logging.Logger("former"), logging.Logger("other")
    for logger in (former, other):
        logger.addHandler(caplog.handler)

    class Meddling(logging.Handler):
        def emit(self, _record: logging.LogRecord) -> None:
            with pytest.raises(liveness.RequestError, match="from inside itself"):
                liveness.enable_logging(logging.DEBUG, other)

    former.addHandler(Meddling())
    liveness.enable_logging(logging.DEBUG, former)
    with pytest.raises(TypeError):
        liveness.enable_logging("DEBUG", other)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(liveness.ImageError):
            engine.check(b"no image")
    assert [record.name for record in caplog.records] == ["former", "former"]


def test_the_interpreter_ends_in_peace(portrait: Path) -> None:
    """While daemon threads still check and log."""
    done = run_python(
        """
        import logging, sys, threading, time, liveness
        logging.basicConfig(level=logging.CRITICAL)
        liveness.enable_logging(logging.DEBUG)
        engine = liveness.Liveness()
        def work():
            while True:
                engine.check(sys.argv[1])
        for _ in range(4):
            threading.Thread(target=work, daemon=True).start()
        time.sleep(0.3)
        print("the end")
        """,
        str(portrait),
    )
    assert (done.returncode, done.stdout) == (0, "the end\n"), done.stderr
    assert "Fatal" not in done.stderr
