"""The meter provider that stands in the OTel global, and instruments that follow where it is pointed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import Meter, MeterProvider, NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider as SdkMeterProvider
from opentelemetry.sdk.metrics.export import MetricReader

from logspan.providers.routed import Routes


class OwnMeterProvider(SdkMeterProvider):
    """The SDK's provider, of which one can tell whether anybody reads it."""

    is_read = False

    def add_metric_reader(self, metric_reader: MetricReader) -> None:
        """Have what is measured from here on read."""
        self.is_read = True
        super().add_metric_reader(metric_reader)


class _Nowhere(NoOpMeterProvider):
    is_read = False


class DelegatingMeterProvider(MeterProvider):
    """Hands each measurement to the meter provider of its pipeline; instruments handed out earlier follow.

    Where nobody reads, it is an instance of the API's `NoOpMeterProvider` too: whoever asks need not measure at all.
    """

    def __init__(self) -> None:
        self._routes: Routes[MeterProvider] = Routes(_Nowhere())
        self._observed: tuple[_Instrument, ...] = ()
        self.unpoint = self._routes.unpoint

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """What `isinstance` asks for beside the type. FastAPI asks at each request, and measures it three times."""
        return DelegatingMeterProvider if getattr(self.target(), "is_read", True) else NoOpMeterProvider

    def target(self) -> MeterProvider:
        """The provider for a measurement that is made here and now."""
        return self._routes.target()

    def point(self, owner: LoggerProvider, provider: Callable[[], MeterProvider]) -> None:
        """Send what belongs to `owner` to a provider, and create the observable instruments there."""
        self._routes.point(owner, provider)
        for instrument in self._observed:
            instrument.create_in(provider())  # nobody calls these, so they cannot ask for themselves

    def observe(self, instrument: _Instrument) -> None:
        """Create an observable instrument now, and in each later target."""
        self._observed = (*self._observed, instrument)
        instrument.create_in(self.target())

    def get_meter(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Any = None,
    ) -> Meter:
        """A meter whose instruments ask for their provider at each measurement."""
        return _DelegatingMeter(self, self._routes, (name, version, schema_url, attributes))

    def __getattr__(self, name: str) -> Any:
        """What only the SDK's provider has: that of the target."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.target(), name)


class _Instrument:
    """Any instrument: what is called on it is called on the one of its name in the target."""

    def __init__(self, routes: Routes[MeterProvider], meter: tuple[Any, ...], create: Callable[[Meter], Any]) -> None:
        self._routes = routes
        self._meter = meter
        self._create = create
        self._known: tuple[MeterProvider, Any] | None = None

    def create_in(self, target: MeterProvider) -> Any:
        """The instrument in a target, made there the first time."""
        known = self._known
        if known is None or known[0] is not target:
            known = self._known = (target, self._create(target.get_meter(*self._meter)))
        return known[1]

    def _real(self) -> Any:
        """The one in the target; None where nobody would read what it counts, which the SDK works out all the same."""
        target, known = self._routes.target(), self._known
        if not getattr(target, "is_read", True):
            return None
        return known[1] if known is not None and known[0] is target else self.create_in(target)


class _Adding(_Instrument):
    def add(self, *args: Any, **kwargs: Any) -> None:
        """Add an amount (Counter, UpDownCounter)."""
        if (real := self._real()) is not None:
            real.add(*args, **kwargs)


class _Recording(_Instrument):
    def record(self, *args: Any, **kwargs: Any) -> None:
        """Record a value (Histogram)."""
        if (real := self._real()) is not None:
            real.record(*args, **kwargs)


class _Setting(_Instrument):
    def set(self, *args: Any, **kwargs: Any) -> None:
        """Set the value (Gauge)."""
        if (real := self._real()) is not None:
            real.set(*args, **kwargs)


class _DelegatingMeter(Meter):
    def __init__(
        self, provider: DelegatingMeterProvider, routes: Routes[MeterProvider], arguments: tuple[Any, ...]
    ) -> None:
        super().__init__(*arguments[:3])
        self._provider = provider
        self._routes = routes
        self._arguments = arguments

    def _make(self, kind: type[_Instrument], create: Callable[[Meter], Any]) -> Any:
        return kind(self._routes, self._arguments, create)

    def _observe(self, create: Callable[[Meter], Any]) -> Any:
        instrument = self._make(_Instrument, create)
        self._provider.observe(instrument)
        return instrument

    def create_counter(self, *args: Any, **kwargs: Any) -> Any:
        """A counter that follows."""
        return self._make(_Adding, lambda meter: meter.create_counter(*args, **kwargs))

    def create_up_down_counter(self, *args: Any, **kwargs: Any) -> Any:
        """An up-down counter that follows."""
        return self._make(_Adding, lambda meter: meter.create_up_down_counter(*args, **kwargs))

    def create_histogram(self, *args: Any, **kwargs: Any) -> Any:
        """A histogram that follows."""
        return self._make(_Recording, lambda meter: meter.create_histogram(*args, **kwargs))

    def create_gauge(self, *args: Any, **kwargs: Any) -> Any:
        """A gauge that follows."""
        return self._make(_Setting, lambda meter: meter.create_gauge(*args, **kwargs))

    def create_observable_counter(self, *args: Any, **kwargs: Any) -> Any:
        """An observable counter, created in each target."""
        return self._observe(lambda meter: meter.create_observable_counter(*args, **kwargs))

    def create_observable_up_down_counter(self, *args: Any, **kwargs: Any) -> Any:
        """An observable up-down counter, created in each target."""
        return self._observe(lambda meter: meter.create_observable_up_down_counter(*args, **kwargs))

    def create_observable_gauge(self, *args: Any, **kwargs: Any) -> Any:
        """An observable gauge, created in each target."""
        return self._observe(lambda meter: meter.create_observable_gauge(*args, **kwargs))
