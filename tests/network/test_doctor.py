"""The doctor meets real peers: a full destination, one that takes little, one that is none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    ComprehensiveSRStorage,
    StorageCommitmentPushModel,
    UltrasoundMultiFrameImageStorage,
    Verification,
)

from echo_scp.config import Config, Destination, ReceiveConfig, WebConfig
from echo_scp.doctor.destinations import examine_destination
from echo_scp.doctor.finding import Finding, Outcome
from echo_scp.doctor.ports import examine_ports
from echo_scp.occupancy import only_node_in
from echo_scp.receive.listener import Listener
from echo_scp.spool import Spool
from echo_scp.web.app import WebApp, WebThread
from tests.network.certificates import Authority

# pynetdicom keeps the socket of who hung up on it.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")


@contextmanager
def peer(*sop_classes: str, titles: tuple[str, ...] = (), transfer_syntax: str = "") -> Iterator[int]:
    """A pynetdicom acceptor of these SOP classes; it knows only callers in `titles`, if there are any."""
    ae = AE(ae_title="PACS")
    for uid in sop_classes:
        syntaxes = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
        ae.add_supported_context(uid, [transfer_syntax] if transfer_syntax and uid != Verification else syntaxes)
    if titles:
        ae.require_calling_aet = list(titles)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_ECHO, lambda _: 0x0000)])
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()


def findings(port: int, **changes: object) -> Iterator[Finding]:
    values = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": port} | changes
    destination = Destination.model_validate(values)
    return examine_destination(destination, Config(destinations=(destination,)))


def examine(port: int, **changes: object) -> dict[str, tuple[Outcome, str]]:
    return {finding.name: (finding.outcome, finding.fix) for finding in findings(port, **changes)}


def details(port: int, **changes: object) -> dict[str, tuple[Outcome, str]]:
    return {finding.name: (finding.outcome, finding.detail) for finding in findings(port, **changes)}


def test_a_destination_that_takes_all_passes_every_step(tmp_path):
    """Our own listener takes every storage SOP class, and commits to what it has."""
    config = ReceiveConfig(ae_title="PACS", address="127.0.0.1", port=0, reserve_disk_mb=0)
    with Listener(config, Spool(tmp_path, 0), lambda: None) as listener:
        found = examine(listener.port)

    assert {name: outcome for name, (outcome, _) in found.items()} == {
        "name": Outcome.PASSED,
        "connection": Outcome.PASSED,
        "C-ECHO": Outcome.PASSED,
        "takes SR": Outcome.PASSED,
        "takes SEG": Outcome.PASSED,
        "Storage Commitment": Outcome.PASSED,
    }


def test_a_stow_service_is_looked_for_where_its_url_says():
    """Host and port come from the URL; nothing is sent to it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/dicom-web/studies"
        destination = Destination(name="cloud", url=url)
        found = list(examine_destination(destination, Config(destinations=(destination,))))

    assert [(finding.name, finding.outcome) for finding in found] == [
        ("name", Outcome.PASSED),
        ("connection", Outcome.PASSED),
        ("STOW-RS", Outcome.REMARK),
    ]


def test_an_object_that_would_be_refused_is_named_before_it_is_sent():
    """A PACS without Segmentation Storage is told by its UID."""
    with peer(Verification, ComprehensiveSRStorage, StorageCommitmentPushModel) as port:
        found = examine(port)

    outcome, fix = found["takes SEG"]
    assert outcome is Outcome.FAILED
    assert "1.2.840.10008.5.1.4.1.1.66.4" in fix
    assert found["Storage Commitment"][0] is Outcome.PASSED


def test_what_goes_in_the_place_of_a_refused_object_is_named():
    """To take the SR out of send, as was advised once, would have lost the report that such a PACS takes."""
    with peer(Verification, ComprehensiveSRStorage) as port:
        found = details(port, send=["SR"])

    outcome, detail = found["takes SR"]
    assert outcome is Outcome.REMARK
    assert "SR_COMPREHENSIVE goes in its place" in detail


@pytest.mark.parametrize(("syntax", "outcome"), [(ImplicitVRLittleEndian, "failed"), (JPEGBaseline8Bit, "passed")])
def test_a_cine_is_proposed_as_it_is_stored(syntax, outcome):
    """A PACS that takes ultrasound uncompressed only would refuse the first that is sent."""
    with peer(Verification, UltrasoundMultiFrameImageStorage, transfer_syntax=syntax) as port:
        found = examine(port, send=["CINE"])

    assert found["takes CINE"][0] == outcome


def test_commitment_that_is_configured_and_not_offered_fails():
    """Nothing would ever be committed, and retention would wait for it."""
    with peer(Verification, ComprehensiveSRStorage) as port:
        asked, not_asked = examine(port, commitment=True), examine(port)

    assert asked["Storage Commitment"][0] is Outcome.FAILED
    assert not_asked["Storage Commitment"][0] is Outcome.REMARK


def test_a_destination_that_takes_nothing_of_ours_fails_for_each_kind():
    """An association that is accepted with no context is an answer too."""
    with peer(Verification) as port:
        found = examine(port, send=["SEG"])

    assert found["takes SEG"][0] is Outcome.FAILED
    assert "takes SR" not in found


def test_a_peer_that_does_not_know_us_is_told_our_title():
    """The commonest first fault of an installation."""
    with peer(Verification, titles=("SOMEBODY",)) as port:
        found = examine(port)

    outcome, fix = found["C-ECHO"]
    assert outcome is Outcome.FAILED
    assert "ECHO_SCP" in fix
    assert "takes SR" not in found


@pytest.mark.parametrize(("changes", "step"), [({"host": "nowhere.invalid"}, "name"), ({}, "connection")])
def test_the_examination_ends_at_the_first_step_that_fails(changes, step, free_port):
    """What follows would only repeat it."""
    found = examine(free_port, **changes)

    *_, last = found
    assert last == step
    assert found[step][0] is Outcome.FAILED


def ports(address: str, dicom: int, web: int) -> dict[str, Outcome]:
    config = Config(receive=ReceiveConfig(address=address, port=dicom), web=WebConfig(port=web))
    return {finding.name: finding.outcome for finding in examine_ports(config)}


def test_free_ports_pass(free_port):
    """The usual state before the first start."""
    assert ports("127.0.0.1", free_port, 0) == {"receive.port": Outcome.PASSED, "web.port": Outcome.PASSED}


def test_a_port_that_a_node_holds_passes(tmp_path):
    """The doctor may visit a running node."""
    config = ReceiveConfig(address="127.0.0.1", port=0, reserve_disk_mb=0)
    with Listener(config, Spool(tmp_path, 0), lambda: None) as listener:
        found = ports("127.0.0.1", listener.port, 0)

    assert found["receive.port"] is Outcome.PASSED


def test_a_node_that_knows_its_peers_passes_though_the_doctor_is_none(tmp_path, free_port):
    """It closes on the doctor; that its data folder is held says that it is ours."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = Config(
            data_folder=tmp_path,
            receive=ReceiveConfig(
                address="127.0.0.1",
                port=taken.getsockname()[1],
                peers=({"name": "cart", "ae_title": "CART", "addresses": ("10.1.2.3",)},),
            ),
            web=WebConfig(port=free_port),
        )
        threading.Thread(target=hang_up, args=(taken,), daemon=True).start()
        without, *_ = examine_ports(config)
        with only_node_in(tmp_path):
            beside, *_ = examine_ports(config)

    assert (without.outcome, beside.outcome) == (Outcome.FAILED, Outcome.PASSED)


def hang_up(server: socket.socket) -> None:
    """Close on whoever comes."""
    with suppress(OSError):
        while True:
            server.accept()[0].close()


def test_a_page_over_https_is_known_for_the_nodes(tmp_path):
    """By its health, whoever signed its certificate."""
    issued = Authority(tmp_path).issue("localhost")
    config = WebConfig(port=0, certificate=issued.certificate, key=issued.key)
    page = WebThread(WebApp(lambda: None, {}), config)
    page.start()
    try:
        web = config.model_copy(update={"port": page.port})
        *_, finding = examine_ports(Config(receive=ReceiveConfig(port=0), web=web))
    finally:
        page.stop()

    assert (finding.name, finding.outcome) == ("web.port", Outcome.PASSED)


@pytest.mark.parametrize(
    ("only", "keys"), [(False, ["receive.port", "receive.tls.port"]), (True, ["receive.tls.port"])]
)
def test_the_port_for_tls_is_tried_and_a_closed_one_is_not(tmp_path, only, keys):
    """What listens there on behalf of somebody else keeps the node from starting."""
    issued = Authority(tmp_path).issue("localhost")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        tls = {"certificate": issued.certificate, "key": issued.key, "port": taken.getsockname()[1], "only": only}
        receive = ReceiveConfig(address="127.0.0.1", port=0, tls=tls)
        *found, _ = examine_ports(Config(data_folder=tmp_path, receive=receive, web=WebConfig(port=0)))

    assert [finding.name for finding in found] == keys
    assert found[-1].outcome is Outcome.FAILED


def test_a_port_that_another_program_holds_fails():
    """Who listens there is found with ss."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = Config(receive=ReceiveConfig(address="127.0.0.1", port=0), web=WebConfig(port=taken.getsockname()[1]))
        taken.settimeout(0.1)
        *_, finding = examine_ports(config)

    assert finding.outcome is Outcome.FAILED
    assert "ss -ltnp" in finding.fix


def test_an_address_of_another_machine_fails(free_port):
    """192.0.2.0/24 is nobody's (RFC 5737)."""
    found = ports("192.0.2.1", free_port, 0)

    assert found["receive.port"] is Outcome.FAILED
