"""The answers on an association of ours reach the one who asked.

Two readers of pynetdicom's share one queue of messages: the caller of `send_c_store`, who waits for the answer, and
the association's own thread, which looks for requests of the peer and throws away what is none. That thread is paused
during a call, but can have passed the pause before it began: under load it then throws our answer away, and the call
waits for its whole timeout (pydicom/pynetdicom#850).

The time for an answer begins when the request has left: pynetdicom counts from when it was queued.

A call begins when that thread says that it pauses. The thread that serves a report of the peer (N-EVENT-REPORT) says in
its place that it goes on: a call that begins just then, or the release, would wait for ever.
"""

from __future__ import annotations

import queue
import threading
import time
from itertools import cycle

from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_primitives import C_CANCEL, DimsePrimitiveType, DimseServiceType
from pynetdicom.events import Event

_SAID_AGAIN_S = 0.05

_Message = tuple[None, None] | tuple[int, DimseServiceType]


class AnswerKeeper(DIMSEServiceProvider):
    """While an answer is awaited, only who waits for it takes messages, and only the answer (PS3.7 E.1: Message ID)."""

    def __init__(self, association: Association) -> None:
        super().__init__(association)
        self._awaited: int | None = None
        self._message_ids = cycle(range(1, 65536))
        self._asking = threading.Lock()

    def send_msg(self, primitive: DimsePrimitiveType, context_id: int) -> None:
        if not isinstance(primitive, C_CANCEL) and primitive.MessageIDBeingRespondedTo is None:
            with self._asking:
                self._awaited = primitive.MessageID = next(self._message_ids)
        super().send_msg(primitive, context_id)

    def get_msg(self, block: bool = False) -> _Message:
        if not block:  # the association's own thread
            with self._asking:
                # That the association ended is said once, as (None, None): it stays for who asks next.
                is_ours = self._awaited is None and self.peek_msg()[1] is not None
                return super().get_msg() if is_ours else (None, None)
        is_leaving = True
        while is_leaving:  # on a slow line an object takes longer than the answer may
            to_leave = self.dul.to_provider_queue.qsize()
            if (taken := self._answer()) is not None:
                return taken
            is_leaving = self.dul.to_provider_queue.qsize() < to_leave
        return None, None

    def _answer(self) -> _Message | None:
        """Return the answer, (None, None) when the association ended, None when neither came in time."""
        given_up_at_s = time.monotonic() + (self.dimse_timeout or threading.TIMEOUT_MAX)
        while (left_s := given_up_at_s - time.monotonic()) > 0:  # a peer may answer what nobody asked, for ever
            try:
                taken = self.msg_queue.get(timeout=left_s)
            except queue.Empty:
                break
            if taken[1] is None or taken[1].MessageIDBeingRespondedTo == self._awaited:
                self._awaited = None
                return taken
        return None


class _Pause(threading.Event):
    """While it is not set the association's own thread waits here, and says so again and again."""

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association = association
        self.set()

    def wait(self, timeout: float | None = _SAID_AGAIN_S) -> bool:
        while not super().wait(timeout):
            self._association._is_paused = True
        return True


def keep_answers(event: Event) -> None:
    """Handle EVT_CONN_OPEN of an association that we requested, before the first message and before its thread runs."""
    event.assoc.dimse = AnswerKeeper(event.assoc)
    event.assoc._reactor_checkpoint = _Pause(event.assoc)
