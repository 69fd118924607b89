"""The outbox: the table `delivery`, and threads that send what it says.

The table is the queue. A delivery is taken by locking its row for as long as it is sent: the lock goes with its holder,
so that a killed process leaves nothing behind and several hosts share the work. Two things can fail. A destination that
cannot be reached rests, with all that waits for it (a circuit breaker); one probe decides whether it goes on. An object
that a destination refuses waits alone. All times are the database's.
"""

from echo_scp.outbox.deliverer import Deliverer
from echo_scp.outbox.queue import DeliveryGauges, put, retry_wait_s
from echo_scp.outbox.reports import ArchiveReports

__all__ = ["ArchiveReports", "Deliverer", "DeliveryGauges", "put", "retry_wait_s"]
