import logging

from logspan import Settings, bind, configure_logging, get_logger

log = get_logger("nightly")


def main() -> None:
    with configure_logging(Settings(service_name="nightly")):
        with bind(run=7):
            log.info("started", files=["a.csv", "b.csv"])
            try:
                1 / 0  # noqa: B018
            except ZeroDivisionError:
                logging.getLogger("nightly.load").exception("a.csv could not be loaded")
        log.info("done")


if __name__ == "__main__":
    main()
