"""CodeCarbon as a meter of CPU energy, and as a second opinion."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from greenfront.errors import MeterError
from greenfront.objectives.carbon.shipped import codecarbon_version
from greenfront.objectives.metering.counter import CounterMeter
from greenfront.objectives.metering.meter import Snapshot
from greenfront.objectives.metering.process_tree import machine_cpu_seconds
from greenfront.objectives.metering.throttle import CpuThrottle
from greenfront.objectives.metering.windows import Span, share_of
from greenfront.objectives.readings import JOULES_PER_KWH, Reading

if TYPE_CHECKING:
    from codecarbon import OfflineEmissionsTracker

__all__ = ["CodeCarbonMeter", "codecarbon_source", "offline_tracker"]

_NEVER_SECONDS = 1e8
_STALE_SECONDS = 0.05
_LOW, _HIGH = 1 / 3, 3.0


def offline_tracker(
    tracking_mode: str, output_handlers: list[Any] | None = None
) -> OfflineEmissionsTracker:
    """A tracker that connects to nothing and writes nothing.

    Every argument is given: CodeCarbon reads those that are left out from ``~/.codecarbon.config``,
    from one in the working folder and from the environment. An empty token overrides a forgotten
    one that would send it to the network.

    Raises:
        MeterError: CodeCarbon did not start.
    """
    from codecarbon import OfflineEmissionsTracker

    # It logs before it has read its log level.
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
    tracker = OfflineEmissionsTracker(
        project_name="greenfront",
        measure_power_secs=_NEVER_SECONDS,  # it measures on request only
        api_call_interval=-1,
        api_endpoint="",
        api_key="",
        output_dir=tempfile.gettempdir(),
        output_file="",
        output_methods=[],
        logging_logger=None,
        prometheus_url="",
        output_handlers=output_handlers or [],
        gpu_ids=[],
        emissions_endpoint=None,
        experiment_id="",
        experiment_name="",
        electricitymaps_api_token="",
        tracking_mode=tracking_mode,
        log_level="critical",
        on_csv_write="append",
        logger_preamble="",
        force_cpu_power=None,
        force_ram_power=None,
        pue=1.0,
        wue=0.0,
        force_carbon_intensity_g_co2e_kwh=0.0,
        force_mode_cpu_load=False,
        allow_multiple_runs=True,
        rapl_include_dram=False,
        rapl_prefer_psys=False,
        metadata=None,
        country_iso_code="FRA",
        region=None,
        cloud_provider=None,
        cloud_region=None,
        country_2letter_iso_code=None,
    )
    if not hasattr(tracker, "run_id"):
        raise MeterError(
            "CodeCarbon: its offline tracker did not start; see what "
            "'python -c \"import codecarbon\"' says, or take another source"
        )
    return tracker


class _Output:
    """An output handler that keeps the CPU's energy."""

    def __init__(self) -> None:
        self.cpu_kwh: list[float] = []

    def out(self, total: Any, _delta: Any) -> None:
        self.cpu_kwh.append(float(total.cpu_energy))

    def live_out(self, _total: Any, _delta: Any) -> None: ...

    def task_out(self, _data: Any, _experiment_name: str) -> None: ...

    def exit(self) -> None: ...


@lru_cache(maxsize=1)
class _Machine:
    """The one tracker of this process, in machine mode: a second one would disturb it."""

    def __init__(self) -> None:
        self._output = _Output()
        self._lock = threading.Lock()
        self._tracker = offline_tracker("machine", [self._output])
        self._tracker.start()
        time.sleep(2 * _STALE_SECONDS)  # its first measurement is slow and empty
        self.joules()

    def joules(self) -> float:
        """Energy of the machine's CPU so far."""
        with self._lock:
            self._tracker.flush()
            if not self._output.cpu_kwh:
                raise MeterError(
                    "CodeCarbon: told nothing of the CPU; take another source under [metering] cpu"
                )
            return self._output.cpu_kwh.pop() * JOULES_PER_KWH


def codecarbon_source() -> str:
    """What readings of :class:`CodeCarbonMeter` name as their source."""
    return f"CodeCarbon {codecarbon_version()}, machine mode, × share of busy CPU time"


class CodeCarbonMeter(CounterMeter):
    """``joules = CodeCarbon's CPU energy of the machine × share of the machine's busy CPU time``.

    CodeCarbon measures the whole machine, because its process mode loses short-lived children.
    Its numbers may come from a counter, a listed design power or a constant, so they are called
    modelled, with a band from a third to three times. Idle power is included.

    Raises:
        MeterError: CodeCarbon does not start, or the machine's busy time is unknown.
    """

    component = "cpu"
    kind = "modelled"
    resolution_seconds = _STALE_SECONDS

    def __init__(
        self,
        throttle: CpuThrottle | None = None,
        *,
        machine_seconds: Callable[[], float | None] = machine_cpu_seconds,
    ) -> None:
        if machine_seconds() is None:
            raise MeterError(
                "CodeCarbon: needs the machine's busy CPU time to tell this work's share, but "
                "there is no /proc/stat; run on Linux, or take another source under [metering] cpu"
            )
        super().__init__(throttle or CpuThrottle())
        self.source = codecarbon_source()
        self._machine = _Machine()
        self._machine_seconds = machine_seconds

    def _total_joules(self) -> float:
        return self._machine.joules()

    def _machine_cpu_seconds(self) -> float | None:
        return self._machine_seconds()

    def _difference(
        self, span: Span, before: Snapshot, after: Snapshot, counted_joules: float
    ) -> Reading:
        share = share_of(span, before, after)
        if share is None:
            return span.unavailable(self, "busy time unknown")
        if counted_joules <= 0:
            return span.unavailable(self, "counter did not move")
        return span.reading(
            self,
            counted_joules * share.best,
            _LOW * counted_joules * share.low,
            _HIGH * counted_joules * share.high,
        )
