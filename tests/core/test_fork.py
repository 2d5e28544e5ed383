"""A forked child delivers its own records, once, as itself (faults 25, 26). Each test forks in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

PRELUDE = '''
import json, os, sys, tempfile, threading
from logspan.assemble import build_pipeline
from logspan.outcome import Delivered, DeliveringExporter
from logspan.settings import Settings
from tests.core.support import log

class ToFile(DeliveringExporter):
    """Writes what it delivers to a descriptor, each line at once."""
    def __init__(self, fd):
        self.fd = fd
        self.resets = 0
    def deliver(self, batch, timeout=None):
        for item in batch:
            line = {
                "body": item.log_record.body, "by": os.getpid(), "pid": item.resource.attributes["process.pid"],
                "instance": item.resource.attributes["service.instance.id"], "resets": self.resets,
            }
            os.write(self.fd, (json.dumps(line) + "\\n").encode())
        return Delivered()
    def shutdown(self):
        pass
    def reset_after_fork(self):
        self.resets += 1

file = tempfile.TemporaryFile()  # the processes share its position
write = file.fileno()
def pipeline(**settings):
    return build_pipeline(Settings(service_name="test", **settings), exporters={"file": ToFile(write)})
def child(work):
    """Runs it in a forked child, which must end well."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return pid
def ended(pid):
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
def delivered():
    file.seek(0)
    return [json.loads(line) for line in file]
'''


def run(program: str, timeout: float = 50) -> None:
    """Run a program after the prelude; it must end well, in time, and say nothing."""
    code = PRELUDE + textwrap.dedent(program)
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]  # 3.12 warns of forks with threads
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_child_delivers_its_own_records_once() -> None:
    """What the parent had queued stays the parent's; each side's counts are its own, and both shut down in full."""
    run(
        """
        p = pipeline(sending_queue={"schedule_delay": 5.0})
        for number in range(500):
            log(p, f"parent-{number}")
        def work():
            assert p.ledger.snapshot().emitted == 0
            for number in range(300):
                log(p, f"child-{number}")
            report = p.shutdown(20)
            assert report.complete and report.ledger.emitted == 300 and report.ledger.balanced, report
        ended(child(work))
        log(p, "parent-last")
        report = p.shutdown(20)
        assert report.complete and report.ledger.emitted == 501 and report.ledger.balanced, report
        seen = sorted(line["body"] for line in delivered())
        wanted = [f"parent-{n}" for n in range(500)] + [f"child-{n}" for n in range(300)] + ["parent-last"]
        assert seen == sorted(wanted), len(seen)
        """
    )


def test_a_child_is_a_process_and_an_instance_of_its_own() -> None:
    """`process.pid` is the child's, and so is an instance id that was made up; the exporter was told of the fork."""
    run(
        """
        p = pipeline()
        def work():
            log(p, "child")
            assert p.flush(20)
            assert p.logger_provider.resource.attributes["process.pid"] == os.getpid()
        pid = child(work)
        ended(pid)
        log(p, "parent")
        p.shutdown(20)
        lines = {line["body"]: line for line in delivered()}
        assert lines["child"]["pid"] == lines["child"]["by"] == pid
        assert lines["parent"]["pid"] == lines["parent"]["by"] == os.getpid()
        assert lines["child"]["instance"] != lines["parent"]["instance"]
        assert (lines["child"]["resets"], lines["parent"]["resets"]) == (1, 0)
        """
    )


@pytest.mark.parametrize("how", ['service_instance_id="seven"', 'resource_attributes={"service.instance.id": "seven"}'])
def test_a_configured_instance_id_is_kept(how: str) -> None:
    """Whoever names the instance means the children too (the SDK would overwrite it)."""
    run(
        f"""
        p = pipeline({how})
        def work():
            log(p, "child")
            assert p.flush(20)
        pid = child(work)
        ended(pid)
        p.shutdown(20)
        (line,) = delivered()
        assert (line["instance"], line["pid"]) == ("seven", pid)
        """
    )


@pytest.mark.slow
@pytest.mark.timeout(200)  # four threads that never rest, on a busy machine; a child that hangs does so for ever
def test_forks_while_threads_log() -> None:
    """Whatever lock another thread holds at that moment, no child hangs, and each delivers all of its own."""
    run(
        """
        p = pipeline()
        stop = threading.Event()
        def noise(index):
            number = 0
            while not stop.is_set():
                log(p, f"noise-{index}-{number}", scope=f"scope-{index}-{number}")
                number += 1
                if number % 20 == 0:
                    p.flush(5)
        threads = [threading.Thread(target=noise, args=(index,)) for index in range(4)]
        for thread in threads:
            thread.start()
        def work():
            for number in range(20):
                log(p, f"child-{number}", scope=f"new-{number}")
            assert p.flush(20)
            assert p.shutdown(20).ledger.exporters["file"].delivered == 20
        for _ in range(20):
            ended(child(work))
        stop.set()
        for thread in threads:
            thread.join()
        assert p.shutdown(20).complete
        lines = delivered()
        by_child = {}
        for line in lines:
            if line["body"].startswith("child"):
                by_child.setdefault(line["by"], []).append(line["body"])
        assert len(by_child) == 20
        assert all(bodies == [f"child-{n}" for n in range(20)] for bodies in by_child.values())
        noise_seen = [line["body"] for line in lines if line["body"].startswith("noise")]
        assert len(noise_seen) == len(set(noise_seen))
        """,
        timeout=180,
    )


def test_children_of_children() -> None:
    """Each generation begins anew."""
    run(
        """
        p = pipeline()
        def grandchild():
            log(p, "grandchild")
            assert p.shutdown(20).complete
        def work():
            log(p, "child")
            ended(child(grandchild))
            assert p.shutdown(20).complete
        ended(child(work))
        log(p, "parent")
        assert p.shutdown(20).complete
        lines = delivered()
        assert sorted(line["body"] for line in lines) == ["child", "grandchild", "parent"]
        assert len({line["pid"] for line in lines}) == 3
        """
    )


def test_a_fork_after_shutdown_stays_shut_down() -> None:
    """No thread is started in the child for a pipeline that has ended."""
    run(
        """
        p = pipeline()
        assert p.shutdown(20).complete
        def work():
            log(p, "late")
            assert [thread.name for thread in threading.enumerate() if "logspan" in thread.name] == []
            assert p.ledger.snapshot().dropped == {"after_shutdown": 1}
        ended(child(work))
        assert delivered() == []
        """
    )


def test_a_fork_of_two_pipelines() -> None:
    """One that was dropped does not disturb the other."""
    run(
        """
        gone = pipeline()
        gone.shutdown(20)
        del gone
        p, q = pipeline(), pipeline()
        def work():
            log(p, "p")
            log(q, "q")
            assert p.shutdown(20).complete and q.shutdown(20).complete
        ended(child(work))
        assert p.shutdown(20).complete and q.shutdown(20).complete
        assert sorted(line["body"] for line in delivered()) == ["p", "q"]
        """
    )


def test_an_exporter_that_fails_to_reset_does_not_stop_the_child() -> None:
    """The other exporters, and the pipeline, work on in the child."""
    run(
        """
        class Fails(ToFile):
            def reset_after_fork(self):
                raise OSError("no")
        sys.__stderr__ = open(os.devnull, "w")
        exporters = {"fails": Fails(os.open(os.devnull, os.O_WRONLY)), "file": ToFile(write)}
        p = build_pipeline(Settings(service_name="test"), exporters=exporters)
        def work():
            log(p, "child")
            assert p.flush(20)
        ended(child(work))
        p.shutdown(20)
        assert [line["body"] for line in delivered()] == ["child"]
        """
    )
