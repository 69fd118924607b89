"""Say who observed: this software (PS3.16 TID 1004)."""

from __future__ import annotations

from highdicom.sr import DeviceObserverIdentifyingAttributes, ObserverContext

from echo_scp import __version__
from echo_scp.config import ReportConfig
from echo_scp.model import MANUFACTURER
from echo_scp.report import codes
from echo_scp.report.uids import derive_uid


def device_observer(config: ReportConfig) -> ObserverContext:
    """Return the observer of every document."""
    device = DeviceObserverIdentifyingAttributes(
        uid=derive_uid(config.uid_root, "device", __version__),
        name=MANUFACTURER,
        manufacturer_name=MANUFACTURER,
        model_name=MANUFACTURER,
        serial_number=__version__,
    )
    return ObserverContext(codes.DEVICE, device)
