"""What the node asks of a connection to its database."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from echo_scp.config import Config
from echo_scp.database.connection import Database
from echo_scp.node import _open_database


@pytest.mark.parametrize(("of_the_server", "ours"), [("off", "on"), ("on", "on"), ("remote_apply", "remote_apply")])
def test_a_commit_is_durable_whatever_the_server_is_set_to(url, of_the_server, ours):
    """The spool forgets an instance when its row is committed: a power cut must not forget the row."""
    with (
        Database(url, options={"options": f"-c synchronous_commit={of_the_server}"}) as database,
        database.transaction() as transaction,
    ):
        assert transaction._connection.execute("SHOW synchronous_commit").fetchone() == (ours,)


def test_a_server_that_vanishes_is_noticed(url, tmp_path: Path):
    """Its kernel says nothing any more: without questions of ours the indexer would wait for hours."""
    config = Config.model_validate({"data_folder": tmp_path, "database": {"url": f"{url}&keepalives_idle=99"}})
    with ExitStack() as stack:
        opened = conninfo_to_dict(_open_database(config, stack, threading.Event()) or "")

    assert (opened["keepalives_idle"], opened["keepalives_count"]) == ("99", "3")
    assert {"keepalives_interval", "tcp_user_timeout"} <= opened.keys()
