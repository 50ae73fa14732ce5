"""What Avro's rules cannot say of the way from one version to the next."""

from __future__ import annotations

from typing import Any

from eventfold import upcaster


@upcaster("flights.FlightArrived", 1)
def air_time_in_seconds(data: dict[str, Any]) -> dict[str, Any]:
    minutes = data.pop("air_time_min")
    return {**data, "air_time_s": None if minutes is None else minutes * 60}


upcasters = [air_time_in_seconds]
