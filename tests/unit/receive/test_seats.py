"""How many associations there may be."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from echo_scp.receive.seats import Refused, Seats


def test_no_more_than_all_seats_are_given():
    """And one that is left is given again."""
    seats = Seats(total=3)

    taken = [seats.take("10.0.0.1", 3) for _ in range(4)]
    seats.leave(1)

    assert taken == [0, 1, 2, Refused.TOTAL]
    assert seats.take("10.0.0.2", 3) == 1


def test_one_peer_leaves_room_for_others():
    """A peer that runs wild takes its own seats only."""
    seats = Seats(total=5)

    taken = [seats.take("10.0.0.1", 2) for _ in range(3)]

    assert taken == [0, 1, Refused.PEER]
    assert seats.take("10.0.0.2", 3) == 2


def test_seats_are_counted_over_processes():
    """A second process sees what the first gave, and its own are given back when it is gone."""
    seats = Seats(total=3)
    seats.take("10.0.0.1", 3)
    program = (
        "import os, sys; from echo_scp.receive.seats import Seats;"
        "seats = Seats(3, int(sys.argv[1])); print(os.getpid(), *(seats.take('10.0.0.2', 3) for _ in range(3)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(seats.descriptor)],
        pass_fds=[seats.descriptor],
        capture_output=True,
        text=True,
        check=True,
    )
    process_id, *taken = done.stdout.split()
    before = seats.take("10.0.0.3", 3)
    seats.vacate(int(process_id))

    assert taken == ["1", "2", "Refused.TOTAL"]
    assert before is Refused.TOTAL
    assert [seats.take("10.0.0.3", 3) for _ in range(3)] == [1, 2, Refused.TOTAL]


def test_no_seat_is_given_twice():
    """Threads that ask at once."""
    seats = Seats(total=40)
    taken = []
    threads = [
        threading.Thread(target=lambda: taken.extend(seats.take("10.0.0.1", 40) for _ in range(5))) for _ in range(8)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken) == list(range(40))


def test_what_a_peer_calls_itself_is_printable():
    """It goes into the database, which takes no NUL, while the peer is being refused for it."""
    seats = Seats(total=1)

    seats.take("10.0.0.1", 1, "CART\0X")

    assert seats.calling_ae_titles() == {"CART?X"}


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_table_that_is_closed_leaves_no_descriptor():
    """A listener may be started and stopped for ever."""
    before = descriptors()

    Seats(total=10).close()

    assert descriptors() == before
