"""Options, and the life of an engine: closing, threads, processes, memory."""

from __future__ import annotations

import asyncio
import copy
import ctypes
import gc
import importlib.util
import multiprocessing
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from PIL import Image

import liveness
from conftest import PORTRAIT, Array, png
from liveness import Liveness, Result, _abi

PACKAGE = os.path.dirname(liveness.__file__)


def run_python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Another interpreter runs the program; it must not hang."""
    return subprocess.run(
        [sys.executable, "-X", "dev", "-c", textwrap.dedent(program), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class TestOptions:
    def test_each_has_its_effect(
        self, engine: Liveness, rgb: Array, portrait: Path, expected: Result
    ) -> None:
        probability = expected.details.live_probability
        with Liveness(threshold=(1 + probability) / 2) as other:
            result = other.check(portrait)
            assert result.liveness is False
            assert result.details.threshold > probability
        with Liveness(mask_threshold=1e-6) as other, pytest.raises(liveness.FaceMaskError):
            other.check(portrait)
        companion = np.full((512, 800, 3), 120, np.uint8)
        companion[:, :512] = rgb
        companion[200:456, 530:786] = np.asarray(Image.fromarray(rgb).resize((256, 256)))
        with pytest.raises(liveness.FaceCountError):
            engine.check(companion)
        with Liveness(second_face_ratio=0.9) as other:
            assert other.check(companion).details.faces == 1
        with Liveness(max_file_bytes=1000) as other, pytest.raises(liveness.TooLargeError):
            other.check(portrait)
        for limit in ({"max_pixels": 512 * 512 - 1}, {"max_side": 511}):
            with Liveness(**limit) as other:  # type: ignore[arg-type]
                for source in (portrait, rgb):
                    with pytest.raises(liveness.ImageError):
                        other.check(source)

    def test_time_limit(self, portrait: Path) -> None:
        with Liveness(time_limit_ms=1) as other, pytest.raises(liveness.InternalError) as raised:
            other.check(portrait)
        assert "limit of 1 ms" in str(raised.value.reason)
        with Liveness(time_limit_ms=2**32 - 1) as other:
            other.check(portrait)

    @pytest.mark.parametrize(
        "option",
        [
            {"threshold": 0},
            {"threshold": 0.0},
            {"threshold": -0.0},
            {"threshold": 1e-60},
            {"threshold": 1.0},
            {"threshold": 10**400},
            {"threshold": -0.1},
            {"threshold": float("nan")},
            {"mask_threshold": 0},
            {"mask_threshold": 1.5},
            {"second_face_ratio": 0},
            {"second_face_ratio": 1.01},
            {"max_file_bytes": 0},
            {"max_file_bytes": -1},
            {"max_file_bytes": 2**64},
            {"max_pixels": 0},
            {"max_pixels": 2**64},
            {"max_side": 0},
            {"max_side": 2**32},
            {"time_limit_ms": 0},
            {"time_limit_ms": -1},
            {"time_limit_ms": 2**32},
            {"models": ""},
            {"models": "a\0b"},
            {"onnxruntime": ""},
            {"onnxruntime": "a\0b"},
        ],
        ids=lambda option: str(option)[:40],
    )
    def test_out_of_range(self, option: dict[str, Any]) -> None:
        """Above all, no 0 or empty path of the caller is taken for the C interface's default."""
        (name,) = option
        with pytest.raises(liveness.RequestError, match=f"{name} (is|has) .*; give "):
            Liveness(**option)

    @pytest.mark.parametrize(
        ("option", "takes"),
        [
            ({"threshold": "0.5"}, "str; give a number between 0 and 1, both excluded"),
            ({"threshold": [0.5]}, "list; give a number between 0 and 1, both excluded"),
            ({"mask_threshold": True}, "bool; give a number between 0 and 1, both excluded"),
            ({"second_face_ratio": "a"}, "str; give a number above 0, at most 1"),
            ({"max_side": 1.5}, "float; give a whole number from 1 to 4294967295"),
            ({"max_side": 4096.0}, "float; give a whole number from 1 to 4294967295"),
            ({"max_pixels": "9"}, "str; give a whole number from 1 to "),
            ({"max_file_bytes": True}, "bool; give a whole number from 1 to "),
            ({"time_limit_ms": b"1"}, "bytes; give a whole number from 1 to "),
            ({"models": 1}, "int; give a path"),
            ({"onnxruntime": True}, "bool; give a path"),
            ({"strict_quality": "no"}, "str; give Python's True or False"),
            ({"strict_quality": 1}, "int; give Python's True or False"),
            ({"strict_quality": 0}, "int; give Python's True or False"),
            ({"strict_quality": np.True_}, r"bool\w*; give Python's True or False"),
            ({"strict_quality": None}, "NoneType; give Python's True or False"),
        ],
        ids=str,
    )
    def test_wrong_types(self, option: dict[str, Any], takes: str) -> None:
        (name,) = option
        with pytest.raises(TypeError, match=f"^{name} is a {takes}"):
            Liveness(**option)

    def test_an_unknown_one(self) -> None:
        with pytest.raises(TypeError, match="thresold"):
            Liveness(thresold=0.5)  # type: ignore[call-arg]

    def test_numbers_of_numpy(self) -> None:
        half, side = np.float32(0.5), np.int64(512)
        with Liveness(threshold=half, max_side=side) as engine:  # type: ignore[arg-type]
            assert engine.check(PORTRAIT).details.threshold == 0.5

    def test_they_are_keywords_only(self) -> None:
        with pytest.raises(TypeError):
            Liveness(0.5)  # type: ignore[call-arg]

    def test_models_from_a_folder(self) -> None:
        folder = PORTRAIT.parents[2] / "models"
        with Liveness(models=folder) as engine:
            assert engine.info().files

    def test_onnxruntime(self, portrait: Path, expected: Result) -> None:
        """In a process of its own, because one can load a single ONNX Runtime only."""
        package = importlib.util.find_spec("onnxruntime")
        assert package
        assert package.submodule_search_locations
        folder = Path(package.submodule_search_locations[0], "capi")
        (runtime,) = folder.glob("libonnxruntime.so.*")
        done = run_python(
            """
            import sys, liveness
            with liveness.Liveness(onnxruntime=sys.argv[1]) as engine:
                result = engine.check(sys.argv[2])
                print(engine.info().engine, result.liveness, result.details.live_probability)
            """,
            str(runtime),
            str(portrait),
        )
        assert done.returncode == 0, done.stderr
        name, _, liveness_, probability = done.stdout.split()
        assert (name, liveness_) == ("onnxruntime", "True")
        assert float(probability) == pytest.approx(expected.details.live_probability, abs=1e-3)

    def test_engines_with_different_options_coexist(self, portrait: Path) -> None:
        with Liveness(threshold=0.01) as lenient, Liveness(threshold=0.9999) as strict:
            assert lenient.check(portrait).liveness is True
            assert strict.check(portrait).liveness is False


@pytest.fixture
def freed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The handles that are freed, of the engines that are made from now on."""
    handles: list[int] = []
    free = _abi.lib.liveness_free

    def counted(handle: ctypes.c_void_p) -> None:
        if handle.value:
            handles.append(handle.value)
        free(handle)

    monkeypatch.setattr(_abi.lib, "liveness_free", counted)
    return handles


def interrupted(work: Callable[[], object], step: int) -> bool:
    """Whether an exception got out that struck before an instruction of the package, as that of a
    signal handler may; the work may have fewer of them."""

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal step
        if os.path.dirname(frame.f_code.co_filename) != PACKAGE:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            step -= 1
            if step < 0:
                raise KeyboardInterrupt
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(former)
    return False


class TestClosing:
    def test_use_after_close_raises(self, portrait: Path) -> None:
        engine = Liveness()
        assert not engine.closed
        engine.close()
        engine.close()
        assert engine.closed
        uses = [
            lambda: engine.check(portrait),
            lambda: engine.check_json(portrait),
            lambda: engine.check_many([portrait]),
            lambda: engine.check_base64("AAAA"),
            lambda: engine.check_pixels(b"\0", format="GRAY", width=1, height=1),
            engine.info,
            engine.__enter__,
        ]
        for use in uses:
            with pytest.raises(ValueError, match="closed"):
                use()
        assert "closed" in repr(engine)

    def test_a_context_closes_on_errors_too(self) -> None:
        with pytest.raises(ZeroDivisionError), Liveness() as engine:
            raise ZeroDivisionError
        assert engine.closed

    def test_closing_while_others_check(self, portrait: Path, freed: list[int]) -> None:
        """Running checks finish, later ones raise; nothing is used after it was freed."""
        data = portrait.read_bytes()
        for closed in range(1, 6):
            engine = Liveness()
            started = threading.Barrier(5)

            def work(engine: Liveness = engine, started: threading.Barrier = started) -> int:
                started.wait()
                for done in range(1000):
                    try:
                        assert engine.check(data).liveness
                    except ValueError:
                        return done
                raise AssertionError("it was never closed")

            with ThreadPoolExecutor(4) as pool:
                running = [pool.submit(work) for _ in range(4)]
                started.wait()
                time.sleep(0.05)
                engine.close()
                for future in running:
                    future.result(60)
            assert len(freed) == closed

    def test_a_check_under_way_keeps_the_networks(
        self, freed: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        check = _abi.lib.liveness_check_json

        def closing(*arguments: Any) -> Any:
            engine.close()
            assert freed == []
            return check(*arguments)

        monkeypatch.setattr(_abi.lib, "liveness_check_json", closing)
        engine = Liveness()
        assert '"002"' in engine.check_json(b"no image")
        assert len(freed) == 1

    def test_an_interrupted_call_does_not_keep_the_networks(self, freed: list[int]) -> None:
        engine = Liveness()
        uses = (engine.info, lambda: engine.check_json(b"no image"))
        for use in uses:
            step = 0
            while interrupted(use, step):
                step += 1
            assert step > 50
        engine.close()
        assert len(freed) == 1

    def test_an_interrupted_life_of_an_engine_frees_the_networks(
        self, freed: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[int] = []
        init = _abi.lib.liveness_init

        def counted(*arguments: Any) -> Any:
            made.append(init(*arguments))
            return made[-1]

        monkeypatch.setattr(_abi.lib, "liveness_init", counted)
        engines: list[Liveness] = []

        def life() -> None:
            engines.append(Liveness())
            engines[-1].close()

        step = 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            while interrupted(life, step):
                step += 1
                # Not before: the interpreter swallows what gets out of __del__.
                engines.clear()
                assert len(freed) == len(made)
        assert len(freed) == len(made) > 5

    def test_forgetting_to_close_is_warned_of(self, freed: list[int]) -> None:
        engine = Liveness()
        with pytest.warns(ResourceWarning, match="unclosed"):
            del engine
        assert len(freed) == 1

    def test_a_warning_that_is_an_error_closes_too(
        self, freed: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        raised: list[Any] = []
        monkeypatch.setattr(sys, "unraisablehook", raised.append)
        engine = Liveness()
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            del engine
        assert [error.exc_type for error in raised] == [ResourceWarning]
        # The traceback that was kept has the engine.
        assert len(freed) == 1

    def test_an_engine_that_was_not_made_needs_no_closing(self) -> None:
        done = run_python("""
            import liveness
            try:
                liveness.Liveness(threshold=7)
            except liveness.RequestError:
                pass
            try:
                liveness.Liveness(unknown=7)
            except TypeError:
                pass
        """)
        assert (done.returncode, done.stderr) == (0, "")

    def test_it_cannot_be_copied(self, engine: Liveness) -> None:
        for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="cannot be copied"):
                attempt(engine)


class TestThreads:
    def test_answers_do_not_depend_on_other_threads(
        self, engine: Liveness, portrait: Path, expected: Result, two_people: Array
    ) -> None:
        def work(number: int) -> None:
            for _ in range(5):
                if number % 2:
                    assert engine.check(portrait) == expected
                else:
                    with pytest.raises(liveness.FaceCountError) as raised:
                        engine.check(two_people)
                    # The reason is that of this thread's call.
                    assert "2 faces" in raised.value.reason

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))

    def test_checks_run_at_the_same_time(self, engine: Liveness, rgb: Array) -> None:
        """Were the interpreter lock held, the library's own times could not add up to more than
        what passes on the clock. However busy the machine, they do when checks overlap."""
        large = png(rgb.repeat(4, axis=0).repeat(4, axis=1))
        threads = 4
        ready = threading.Barrier(threads + 1)

        def work(_: int) -> float:
            ready.wait()
            return sum(engine.check(large).details.timings_ms.total for _ in range(4))

        with ThreadPoolExecutor(threads) as pool:
            running = [pool.submit(work, number) for number in range(threads)]
            ready.wait()
            start = time.perf_counter()
            inside = sum(future.result() for future in running)
            passed = (time.perf_counter() - start) * 1000
        assert inside > 1.5 * passed

    def test_python_goes_on_during_a_check(self, engine: Liveness, rgb: Array) -> None:
        """A thread that counts is not stopped while the library works for long."""
        large = png(rgb.repeat(8, axis=0).repeat(8, axis=1))
        stop = threading.Event()
        count = 0

        def counter() -> None:
            nonlocal count
            while not stop.is_set():
                count += 1
                time.sleep(0.001)

        thread = threading.Thread(target=counter)
        thread.start()
        try:
            before = count
            result = engine.check(large)
            during = count - before
        finally:
            stop.set()
            thread.join()
        # Each step needs the lock anew, so a held one allows for no more than one or two.
        assert during >= 5, f"{during} steps in {result.details.timings_ms.total} ms"

    def test_an_event_loop_goes_on_during_checks(
        self, engine: Liveness, rgb: Array, portrait: Path, expected: Result
    ) -> None:
        large = png(rgb.repeat(8, axis=0).repeat(8, axis=1))

        async def steps_during(check: asyncio.Task[Result]) -> int:
            steps = 0
            while not check.done():
                await asyncio.sleep(0.001)
                steps += 1
            return steps

        async def server() -> None:
            long = asyncio.create_task(asyncio.to_thread(engine.check, large))
            answers = [asyncio.to_thread(engine.check, portrait) for _ in range(4)]
            assert await steps_during(long) >= 5
            assert await asyncio.gather(*answers) == [expected] * 4
            assert (await long).score

        asyncio.run(server())


FORKING = """
    import os, sys, liveness
    engine = liveness.Liveness()
    before = engine.check(sys.argv[1])
    child = os.fork()
    if child == 0:
        status = 1
        try:
            again = engine.check(sys.argv[1])
            fresh = liveness.Liveness()
            status = 0 if again == before == fresh.check(sys.argv[1]) else 2
            fresh.close()
            engine.close()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert engine.check(sys.argv[1]) == before
    engine.close()
"""


WORKER = """
    import os, sys, liveness
    from concurrent.futures import ThreadPoolExecutor
    path, made = sys.argv[1:]
    engine = liveness.Liveness() if made == "before" else None
    child = os.fork()
    if child:
        ended = os.waitpid(child, 0)[1]
        if engine:
            engine.close()
        sys.exit(os.waitstatus_to_exitcode(ended))
    with engine or liveness.Liveness() as engine, ThreadPoolExecutor(2) as pool:
        assert all(result.liveness for result in pool.map(engine.check, [path] * 4))
"""


def check_in_a_new_process(path: str) -> str:
    with Liveness() as engine:
        return engine.check_json(path)


class TestProcesses:
    @pytest.fixture(autouse=True)
    def _onnxruntime_has_a_thread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of which Python 3.12 or newer warns at a fork; the embedded engine has none."""
        if os.environ.get("LIVENESS_ONNXRUNTIME"):
            monkeypatch.setenv("PYTHONWARNINGS", "ignore::DeprecationWarning")

    def test_an_engine_works_on_both_sides_of_a_fork(self, portrait: Path) -> None:
        done = run_python(FORKING, str(portrait))
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.parametrize("made", ["before", "after"])
    def test_a_worker_of_a_server_checks_in_threads_and_ends(
        self, portrait: Path, made: str
    ) -> None:
        """By itself, unlike the children of multiprocessing, and so nothing is left to wait for."""
        if made == "before" and os.environ.get("LIVENESS_ONNXRUNTIME"):
            pytest.skip("ONNX Runtime waits for its thread, which a child does not have")
        done = run_python(WORKER, str(portrait), made)
        assert (done.returncode, done.stderr) == (0, "")

    def test_forked_workers_share_the_engine_of_their_parent(self, portrait: Path) -> None:
        done = run_python(
            """
            import multiprocessing, sys, liveness
            engine = liveness.Liveness()
            expected = engine.check_json(sys.argv[1])
            def check(path):
                return engine.check_json(path)
            with multiprocessing.get_context("fork").Pool(3) as pool:
                assert pool.map(check, [sys.argv[1]] * 6) == [expected] * 6
            assert engine.check_json(sys.argv[1]) == expected
            engine.close()
            """,
            str(portrait),
        )
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.parametrize("method", ["spawn", "forkserver"])
    def test_multiprocessing(self, engine: Liveness, portrait: Path, method: str) -> None:
        with multiprocessing.get_context(method).Pool(2) as pool:
            answers = pool.map(check_in_a_new_process, [str(portrait)] * 3)
        assert answers == [engine.check_json(portrait)] * 3


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_every_string_of_the_library_is_given_back(
    engine: Liveness, portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back: list[int | None] = []
    free = _abi.lib.liveness_string_free

    def counted(string: ctypes.c_void_p) -> None:
        given_back.append(string.value)
        free(string)

    monkeypatch.setattr(_abi.lib, "liveness_string_free", counted)
    engine.check_json(portrait)
    engine.check_json(b"no image", details=True)
    assert engine.info().models
    assert len(given_back) == 3
    assert None not in given_back


def test_memory_stays_the_same(engine: Liveness, rgb: Array, two_people: Array) -> None:
    data = bytearray(png(rgb))

    def round_() -> None:
        assert engine.check(data).liveness
        assert engine.check(rgb[:, ::-1]).score
        assert engine.check_json(two_people, details=True)
        with pytest.raises(liveness.ImageError):
            engine.check(b"no image")

    for _ in range(25):
        round_()
    gc.collect()
    before = resident()
    for _ in range(50):
        round_()
    gc.collect()
    grown = resident() - before
    # A leak of one picture a round would be 40 MB.
    assert grown < 8 << 20, f"{grown / 1e6:.1f} MB"


def test_engines_give_their_memory_back() -> None:
    for _ in range(3):
        Liveness().close()
    before = resident()
    for _ in range(20):
        Liveness().close()
    grown = resident() - before
    assert grown < 16 << 20, f"{grown / 1e6:.1f} MB"
