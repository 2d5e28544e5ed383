"""R3.2, faults 25, 37: every other way in which a process ends, with the counts of each process against the sink."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from logspan.testing import OtlpSink, Reply
from tests.lifecycle.support import SLACK, Counts, ledger, ledgers, program, received

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def delivered(sink: OtlpSink, folder: Path) -> dict[int, Counts]:
    """The counts by process: each has delivered all that it emitted, once, and nothing of another's."""
    found = {counts.pid: counts for counts in ledgers(folder)}
    arrived = received(sink)
    for pid, counts in found.items():
        bodies = arrived.get(pid, Counter())
        assert counts.emitted == counts.delivered == len(bodies), (counts, bodies)
        assert set(bodies.values()) <= {1}
    assert set(arrived) <= set(found)
    return found


ENDS = {
    "the end of the program": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "an exception": ("raise ValueError('no')", 1),
    "a thread that goes on": ("threading.Thread(target=lambda: (time.sleep(0.2), logger.info('thread'))).start()", 0),
}


@pytest.mark.parametrize("end", ENDS)
def test_ends_of_a_program(end: str, tmp_path: Path) -> None:
    """R3.2: whatever ends it, all has left, `atexit` functions and threads included, and the status is its own."""
    line, status = ENDS[end]
    text = f"""
        configure()
        atexit.register(logger.info, "at exit")
        for number in range(600):
            logger.info("%d", number)
        {line}
    """
    with OtlpSink() as sink, program(text, sink, tmp_path) as running:
        assert running.ended() == status, running.err
        more = {"an exception": 2, "a thread that goes on": 2}.get(end, 1)
        (counts,) = delivered(sink, tmp_path).values()
        assert counts.emitted == 600 + more
        assert "logspan:" not in running.err


@pytest.mark.slow
def test_all_pipelines_have_the_time_of_one(tmp_path: Path) -> None:
    """R3.2: peers hang, and the program is over in one `shutdown_timeout`; who answers has lost nothing to them."""
    text = """
        stuck = {"exporters": ["loki"], "loki": {"endpoint": sys.argv[1]}, "shutdown_timeout": 8.0}
        handles = [configure(**stuck), configure(shutdown_timeout=8.0), *(configure(**stuck) for _ in range(3))]
        for number, handle in enumerate(handles):
            handle.pipeline.logger_provider.get_logger("program").emit(body=str(number))
        ready()
    """
    hangs = {"/otlp/v1/logs": Reply(delay=60.0)}
    with OtlpSink(decide=lambda request: hangs.get(request.path)) as sink, program(text, sink, tmp_path) as running:
        running.wait_ready()
        assert running.ended(8.0 + SLACK) == 0
        counts = sorted((counts.delivered, tuple(counts.lost.items())) for counts in ledgers(tmp_path))
        assert counts == [(0, (("shutdown_timeout", 1),))] * 4 + [(1, ())]
        (bodies,) = received(sink).values()
        assert bodies == {"1": 1}


def test_what_is_logged_after_the_end_is_counted(tmp_path: Path) -> None:
    """Fault 37: an `atexit` function older than ours, a daemon thread: no traceback, and `after_shutdown`."""
    text = """
        atexit.register(lambda: write_ledger(handle.pipeline, sys.argv[2]))
        atexit.register(lambda: stop.set() or thread.join())
        atexit.register(lambda: logger.info("too late"))
        from tests.lifecycle.support import write_ledger
        handle, stop = configure(), threading.Event()
        logger.info("in time")
        def work():
            while not stop.wait(0.001):
                if handle.pipeline.ledger.snapshot().dropped:
                    logger.info("too late as well")
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
    """
    with OtlpSink() as sink, program(text, sink, tmp_path) as running:
        assert running.ended() == 0
        assert running.err == ""
        counts = ledger(tmp_path)
        assert counts.delivered == 1
        assert set(counts.dropped) == {"after_shutdown"}
        assert counts.emitted == counts.total > 1
        assert received(sink)[counts.pid] == {"in time": 1}


def test_says_what_was_left_at_exit(tmp_path: Path) -> None:
    """R3.2: one line on standard error when time was not enough, and the counts in it are the ledger's."""
    text = """
        configure(shutdown_timeout=1.0)
        for number in range(700):
            logger.info("%d", number)
    """
    with OtlpSink(decide=lambda request: Reply(delay=60.0)) as sink, program(text, sink, tmp_path) as running:
        assert running.ended(1.0 + SLACK) == 0
        counts = ledger(tmp_path)
        assert (counts.emitted, counts.lost) == (700, {"shutdown_timeout": 700})
        (line,) = running.said
        assert "0 delivered, 700 shutdown_timeout" in line
        assert running.out == ""


CHILD = """
    def child(index):
        for number in range(100):
            logger.info("child-%d-%d", index, number)
"""
FORKS = {
    "os.fork": """
        pids = []
        for index in range(3):
            pids.append(os.fork())
            if not pids[-1]:
                child(index)
                sys.exit(0)
        for pid in pids:
            assert os.waitpid(pid, 0)[1] == 0
    """,
    "os.fork and SIGTERM": """
        pids = []
        for index in range(3):
            pids.append(os.fork())
            if not pids[-1]:
                child(index)
                os.kill(os.getpid(), signal.SIGTERM)
                sys.exit("never reached")
        for pid in pids:
            assert os.waitpid(pid, 0)[1] == signal.SIGTERM
    """,
    "multiprocessing.Process": """
        context = multiprocessing.get_context("fork")
        children = [context.Process(target=child, args=(index,)) for index in range(3)]
        for process in children:
            process.start()
        for process in children:
            process.join()
            assert process.exitcode == 0
    """,
    "Process.terminate": """
        context = multiprocessing.get_context("fork")
        logged = context.Semaphore(0)
        def works(index):
            child(index)
            logged.release()
            while True:  # CPython may miss a signal that comes just before it begins to wait without an end
                time.sleep(0.05)
        children = [context.Process(target=works, args=(index,)) for index in range(3)]
        for process in children:
            process.start()
        for process in children:
            logged.acquire()
        for process in children:
            process.terminate()
            process.join()
            assert process.exitcode == -signal.SIGTERM
    """,
    "with Pool": """
        with multiprocessing.get_context("fork").Pool(2) as pool:
            pool.map(child, range(3), chunksize=1)
            time.sleep(0.3)  # until its workers wait: CPython may miss a signal that comes just before that
    """,
}


@pytest.mark.parametrize("fork", FORKS)
def test_forked_children(fork: str, tmp_path: Path) -> None:
    """Fault 25: the parent's and each child's records arrive once, from whoever made them, however it ends."""
    import textwrap

    text = "\n".join(
        textwrap.dedent(part)
        for part in (
            "import multiprocessing\nconfigure()\nlogger.info('parent before')",
            CHILD,
            FORKS[fork],
            "logger.info('parent after')",
        )
    )
    with OtlpSink() as sink, program(text, sink, tmp_path) as running:
        assert running.ended() == 0, running.err
        assert running.err == ""
        found = delivered(sink, tmp_path)
        arrived = received(sink)
        children = {f"child-{index}-{number}" for index in range(3) for number in range(100)}
        parent = running.process.pid
        assert set(arrived[parent]) == {"parent before", "parent after"}
        assert {body for pid, bodies in arrived.items() if pid != parent for body in bodies} == children
        assert len(found) >= 3


def test_a_child_is_hurried_by_itself(tmp_path: Path) -> None:
    """R3.2: a child that was forked while its parent drained ends by its own SIGTERM, and not in the parent's drain."""
    text = """
        handle = configure(shutdown_timeout=2.0)
        logger.info("parent")
        def fork():
            time.sleep(0.5)
            pid = os.fork()
            if not pid:
                signal.raise_signal(signal.SIGTERM)
                os._exit(7)
            assert os.waitpid(pid, 0)[1] == signal.SIGTERM
            print("ended", flush=True)
        thread = threading.Thread(target=fork, daemon=True)
        thread.start()
        handle.at_exit()  # what the interpreter calls, where Python 3.12 would refuse to fork
        thread.join(20)
    """
    with OtlpSink(decide=lambda request: Reply(delay=1.0)) as sink, program(text, sink, tmp_path) as running:
        assert running.ended() == 0, running.err
        assert running.out == "ended\n"
        assert received(sink)[running.process.pid] == {"parent": 1}


def test_signals_are_left_alone_when_asked_to(tmp_path: Path) -> None:
    """R3.2: with `signals` off SIGTERM ends the process as it would without us."""
    text = """
        configure(signals=False, sending_queue={"schedule_delay": 60.0})
        logger.info("lost")
        signal.raise_signal(signal.SIGTERM)
    """
    with OtlpSink() as sink, program(text, sink, tmp_path) as running:
        assert running.ended() == -signal.SIGTERM
        assert ledgers(tmp_path) == []
        assert sink.records() == []
