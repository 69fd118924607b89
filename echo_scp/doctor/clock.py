"""The clock: is it set, and does something keep it right."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator

from echo_scp.doctor.finding import Finding, failed, passed, remark

TOPIC = "clock"
EARLIEST_EPOCH_S = 1_767_225_600  # 2026-01-01: this program was written later
_UNSYNCHRONISED = 0x0040  # STA_UNSYNC of adjtimex(2)
_FIX = "timedatectl set-ntp true, or install chrony"


def examine_clock() -> Iterator[Finding]:
    """Yield whether the time is plausible and synchronised: reports and ages carry it."""
    now = time.time()
    text = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now < EARLIEST_EPOCH_S:
        yield failed(TOPIC, "time", f"{text} is before this version was written", _FIX)
        return
    yield passed(TOPIC, "time", text)
    synchronised = kernel_is_synchronised()
    if synchronised is None:
        yield remark(TOPIC, "synchronised", "this kernel does not say", _FIX)
    elif synchronised:
        yield passed(TOPIC, "synchronised", "the kernel's clock is disciplined")
    else:
        yield remark(TOPIC, "synchronised", "nothing disciplines the kernel's clock", _FIX)


class _Timex(ctypes.Structure):
    """The head of struct timex (adjtimex(2)), with room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def kernel_is_synchronised() -> bool | None:
    """Ask the kernel whether a time service disciplines its clock; None when it cannot be asked."""
    state = _Timex()
    try:
        answer = ctypes.CDLL(None).adjtimex(ctypes.byref(state))
    except AttributeError:  # no such function in this C library
        return None
    return None if answer < 0 else not state.status & _UNSYNCHRONISED
