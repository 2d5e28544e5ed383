"""loguru: every message once, whole, whatever the application adds, removes or passes on."""

import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from loguru import logger
from opentelemetry._logs import SeverityNumber

from tests.sources.conftest import Install, Ran, Sink


@pytest.fixture(autouse=True)
def loguru_is_silent() -> Iterator[None]:
    """No sink but ours, nothing configured."""
    logger.remove()
    yield
    logger.remove()
    logger.configure(extra={})


def _own(attributes: Any) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if not key.startswith(("code.", "exception."))}


def test_message(install: Install, routed: Sink) -> None:
    """A message has its text, level, time, module and place."""
    install("loguru")
    logger.warning("paid {} {order}", "now", order=7)
    record = routed.only
    assert (record.body, record.severity_text, routed.scopes()) == ("paid now 7", "WARN", [__name__])
    assert _own(record.attributes) == {"order": 7}
    assert record.attributes["code.file.path"] == __file__
    assert record.attributes["code.function.name"] == f"{__name__}.test_message"
    assert record.observed_timestamp is not None
    assert record.timestamp is not None
    assert 0 <= record.observed_timestamp - record.timestamp < 5e9


@pytest.mark.parametrize(
    ("level", "number"),
    [("TRACE", SeverityNumber.TRACE), ("SUCCESS", SeverityNumber.INFO4), ("ERROR", SeverityNumber.ERROR)],
)
def test_levels(install: Install, routed: Sink, level: str, number: SeverityNumber) -> None:
    """The levels of loguru have their OTel numbers and keep their names."""
    install("loguru")
    logger.log(level, "m")
    assert (routed.only.severity_number, routed.only.severity_text) == (number, level)


def test_extras(install: Install, routed: Sink) -> None:
    """What was bound, contextualised, configured and given are attributes, also as `extra={...}`."""
    install("loguru")
    logger.configure(extra={"configured": 1})
    with logger.contextualize(context=2):
        logger.bind(bound=3, extra={"nested": 4}).info("m", given=5)
    assert _own(routed.only.attributes) == {"configured": 1, "context": 2, "bound": 3, "nested": 4, "given": 5}


def test_exception(install: Install, routed: Sink) -> None:
    """An exception comes with its stack trace, given or current."""
    install("loguru")
    try:
        raise ValueError("x")
    except ValueError as error:
        logger.exception("one")
        kept = error
    logger.opt(exception=kept).error("two")
    for record in routed.records:
        assert record.attributes["exception.type"] == "ValueError"
        assert "test_exception" in str(record.attributes["exception.stacktrace"])
    assert routed.bodies == ["one", "two"]


@pytest.mark.parametrize("text", ["{braces}", "<red>markup</red>", "multi\nline"])
def test_text_is_not_rendered(install: Install, routed: Sink, text: str) -> None:
    """The message is taken as it is."""
    install("loguru")
    logger.info(text)
    assert routed.bodies == [text]


def test_survives_remove(install: Install, routed: Sink, capsys: pytest.CaptureFixture[str]) -> None:
    """`logger.remove()` followed by the application's own `add`, the usual recipe, loses and doubles nothing."""
    install("loguru", console=True)
    logger.remove()
    mine = logger.add(sys.stderr, format="mine {message}")
    logger.info("one")
    logger.configure(handlers=[{"sink": sys.stdout}])
    logger.info("two")
    assert routed.bodies == ["one", "two"]
    assert capsys.readouterr() == ("", "")
    with pytest.raises(ValueError, match="no existing handler"):
        logger.remove(mine)


def test_console_comes_back(install: Install, routed: Sink, capsys: pytest.CaptureFixture[str]) -> None:
    """A sink that the application added to a standard stream while we were there writes when we have gone."""
    sources = install("loguru", console=True)
    logger.add(sys.stderr, format="mine {message}")
    sources.release(sources.holders[0])
    logger.info("m")
    assert capsys.readouterr().err == "mine m\n"
    assert (routed.bodies, "add" in vars(logger), "remove" in vars(logger)) == ([], False, False)


def test_without_our_console_it_prints(install: Install, routed: Sink, capsys: pytest.CaptureFixture[str]) -> None:
    """While none of our exporters writes to the console, loguru does."""
    install("loguru", console=False)
    logger.add(sys.stderr, format="mine {message}")
    logger.info("m")
    assert capsys.readouterr().err == "mine m\n"


def test_other_sinks_stay(install: Install, routed: Sink) -> None:
    """Sinks that are no standard stream get what they got before."""
    got: list[str] = []
    logger.add(got.append, format="{message}")
    sources = install("loguru", console=True)
    logger.info("m")
    sources.release(sources.holders[0])
    logger.info("n")
    assert (got, routed.bodies) == (["m\n", "n\n"], ["m"])


class InterceptHandler(logging.Handler):
    """`logging` into loguru, as loguru's documentation has it."""

    def emit(self, record: logging.LogRecord) -> None:
        logger.opt(depth=6, exception=record.exc_info).log(record.levelname, record.getMessage())


class PropagateHandler(logging.Handler):
    """loguru into `logging`, as loguru's documentation has it."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger(record.name).handle(record)


@pytest.fixture
def intercept() -> Iterator[InterceptHandler]:
    """An intercepting handler; the root logger has its own handlers back afterwards."""
    handler = InterceptHandler()
    root, handlers = logging.getLogger(), list(logging.getLogger().handlers)
    yield handler
    root.removeHandler(handler)
    for other in handlers:
        root.addHandler(other)


@pytest.mark.parametrize("before", [True, False])
def test_intercepted_records_come_once(
    install: Install, routed: Sink, intercept: InterceptHandler, *, before: bool
) -> None:
    """A record that `logging` passes on to loguru is recorded once, as `logging` made it."""
    if before:
        logging.basicConfig(handlers=[intercept], level=0, force=True)
    install(console=True)
    if not before:
        logging.basicConfig(handlers=[intercept], level=0, force=True)
    logging.getLogger("shop").info("m", extra={"a": 1})
    logger.info("n")
    assert routed.bodies == ["m", "n"]
    assert (routed.scopes()[0], routed.records[0].attributes["a"]) == ("shop", 1)
    logging.getLogger().setLevel(logging.WARNING)


def test_intercepted_elsewhere(install: Install, routed: Sink, intercept: InterceptHandler) -> None:
    """A record that only comes through loguru, as its logger has nothing of ours, is taken from there."""
    install(console=True)
    apart = logging.getLogger("shop.apart")
    apart.propagate = False
    apart.addHandler(intercept)
    apart.warning("m")
    apart.removeHandler(intercept)
    apart.propagate = True
    assert routed.bodies == ["m"]


def test_a_handler_that_uses_loguru_itself(install: Install, routed: Sink) -> None:
    """What a handler says through loguru on its own account is no copy of the record that it handles."""

    class Chatty(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logger.info("storing a record")

    install(console=True)
    chatty = Chatty()
    logging.getLogger("shop").addHandler(chatty)
    logging.getLogger("shop").warning("m")
    logging.getLogger("shop").removeHandler(chatty)
    assert sorted(routed.bodies) == ["m", "storing a record"]


@pytest.mark.parametrize("enqueue", [False, True])
def test_propagated_messages_come_once(install: Install, routed: Sink, *, enqueue: bool) -> None:
    """A message that loguru passes on to `logging` is recorded once, as loguru made it."""
    install(console=True)
    logger.add(PropagateHandler(), format="{message}", enqueue=enqueue)
    logger.bind(a=1).warning("m")
    logger.complete()
    logging.getLogger("shop").warning("n", extra={"extra": {"b": 2}})
    assert routed.bodies == ["m", "n"]
    assert (routed.records[0].attributes["a"], routed.records[1].attributes["b"]) == (1, 2)


def test_propagated_without_our_sink(install: Install, routed: Sink) -> None:
    """With `sources.loguru` off, what is passed on to `logging` is taken there, with its attributes."""
    install("logging")
    logger.add(PropagateHandler(), format="{message}")
    logger.bind(a=1).warning("m")
    assert (routed.bodies, _own(routed.only.attributes)) == (["m"], {"a": 1})


def test_default_handler(run: Callable[[str], Ran]) -> None:
    """The first handler, loguru's own, is silent while our console is on and writes again afterwards."""
    ran = run("""
        from loguru import logger
        logger.info("before")
        start()
        logger.info("during")
        stop()
        logger.info("after")
        report()
        """)
    assert ran.bodies == ["during"]
    assert [word for word in ("before", "during", "after") if word in ran.stderr] == ["before", "after"]


def test_default_handler_of_another_level(run: Callable[[str], Ran]) -> None:
    """So it is with a level of its own, `LOGURU_LEVEL`."""
    ran = run("""
        import os
        os.environ["LOGURU_LEVEL"] = "WARNING"
        from loguru import logger
        start()
        logger.warning("during")
        stop()
        logger.warning("after")
        logger.info("too low")
        report()
        """)
    assert ran.bodies == ["during"]
    assert [word for word in ("during", "after", "too low") if word in ran.stderr] == ["after"]


def test_removal_of_the_default_handler(run: Callable[[str], Ran]) -> None:
    """`logger.remove(0)`, the other usual recipe, still means loguru's own first handler."""
    ran = run("""
        from loguru import logger
        start()
        logger.remove(0)
        logger.info("during")
        stop()
        logger.info("after")
        report()
        """)
    assert (ran.bodies, ran.stderr) == (["during"], "")


def test_default_handler_without_our_console(run: Callable[[str], Ran]) -> None:
    """It writes all the time when we do not."""
    ran = run("""
        from loguru import logger
        start(console=False)
        logger.info("during")
        report()
        """)
    assert (ran.bodies, ran.stderr.count("during")) == (["during"], 1)
