"""The real process: what goes in by C-STORE comes back as SR and SEG, whatever happens to the node meanwhile."""

from __future__ import annotations

import subprocess
import threading
from collections import Counter
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from echo_scp.errors import DeliveryError
from echo_scp.spool import dataset_digest
from tests.acceptance.running import Node, pick_port, wait_for

# A sender whose peer is killed leaves its socket to the garbage collector: pynetdicom's, not ours.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")

RESULT_OF_ONE_CLIP = Counter({"SR": 1, "SEG": 1})


def kinds(objects) -> Counter[str]:
    return Counter(modality for modality, _ in objects)


def test_a_study_comes_back_as_sr_and_seg(node, pacs, make_study):
    """One measured clip and one refused instance give one SR and one SEG, and plain rows in the tables."""
    study = make_study(0, 4)
    node.start()
    for path in study.files:
        node.send(path)

    wait_for(lambda: len(pacs.objects(study.study_instance_uid)) >= 2)

    assert kinds(pacs.objects(study.study_instance_uid)) == RESULT_OF_ONE_CLIP
    wait_for(lambda: node.rows("SELECT count(*) FROM delivery WHERE state = 'delivered'") == [(2,)])
    assert node.rows("SELECT state, revision FROM study") == [("reported", 1)]
    ((ef_percent, view),) = node.rows("SELECT ef_percent, view FROM run")
    assert view == "A4C"
    assert abs(ef_percent - 58) <= 8
    assert node.rows("SELECT reason FROM clip WHERE reason IS NOT NULL") == [("m_mode",)]


def test_the_stored_bytes_are_the_bytes_that_were_sent(node, make_study):
    """The data set in the store equals the sender's, bit for bit."""
    study = make_study(1, 6)
    node.start()
    for path in study.files:
        node.send(path)

    stored = wait_for(lambda: len(rows := node.rows("SELECT path FROM instance")) == 2 and rows)

    assert {dataset_digest(Path(path)) for (path,) in stored} == {dataset_digest(path) for path in study.files}


def test_repeated_bytes_change_nothing_and_different_bytes_wait_for_a_person(node, pacs, make_study, command):
    """A second copy is no new instance; other bytes under the same UID are stored beside it, analysed when told so."""
    study = make_study(0)
    (path,) = study.files
    node.start()
    node.send(path)
    wait_for(lambda: len(pacs.objects(study.study_instance_uid)) == 2)
    node.send(path)
    changed = dcmread(path)
    changed.PatientComments = "changed"
    changed.save_as(path)
    node.send(path)

    wait_for(lambda: len(node.events("instance.conflicting")) == 1)

    assert len(node.events("instance.repeated")) == 1
    assert node.rows("SELECT conflicting FROM instance ORDER BY id") == [(False,), (True,)]
    assert node.rows("SELECT count(*) FROM run") == [(1,)]

    config = ("--config", node.folder / "node.toml")
    gauge = node.get("/metrics")
    listed = command("conflicts", "list", *config).stdout
    taken = command("conflicts", "take", study.study_instance_uid, *config)
    wait_for(lambda: kinds(pacs.objects(study.study_instance_uid))["SR"] == 2)

    assert "echo_scp_conflicts 1.0" in gauge
    assert "differs in PatientComments" in listed
    assert "changed" not in listed
    assert taken.returncode == 0, taken.stderr
    assert command("conflicts", "list", *config).stdout == "no conflict\n"
    assert node.rows("SELECT conflicting, settled FROM instance ORDER BY id") == [(True, True), (False, False)]
    assert all(Path(path).exists() for (path,) in node.rows("SELECT path FROM instance"))


def test_a_late_instance_makes_a_revision_that_names_its_predecessor(node, pacs, make_study):
    """The second SR of the study refers to the first."""
    study = make_study(0, 4)
    node.start()
    node.send(study.files[0])
    wait_for(lambda: len(pacs.objects(study.study_instance_uid)) == 2)
    node.send(study.files[1])

    wait_for(lambda: kinds(pacs.objects(study.study_instance_uid))["SR"] == 2)

    reports = [dcmread(path) for path in pacs.files(study.study_instance_uid)]
    first, second = (report for report in reports if report.Modality == "SR")
    (predecessor,) = second.PredecessorDocumentsSequence
    referenced = predecessor.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert referenced == first.SOPInstanceUID
    assert node.rows("SELECT revision FROM run ORDER BY revision") == [(1,), (2,)]


def test_results_that_come_back_to_the_node_are_not_analysed_again(node, pacs, make_study):
    """A PACS that forwards everything must not make an endless loop."""
    study = make_study(0)
    node.start()
    node.send(study.files[0])
    wait_for(lambda: len(pacs.objects(study.study_instance_uid)) == 2)
    for path in pacs.files(study.study_instance_uid):
        node.send(path)

    wait_for(lambda: len(node.events("instance.own_result")) == 2)

    assert node.rows("SELECT count(*) FROM run") == [(1,)]
    assert node.rows("SELECT state FROM study") == [("reported",)]


def test_sigterm_ends_the_node_in_order_with_status_zero(node, make_study):
    """What was acknowledged before the stop is indexed by the next start."""
    study = make_study(4)
    node.start()
    node.send(study.files[0])
    status = node.stop()
    node.start()

    wait_for(lambda: node.rows("SELECT count(*) FROM instance") == [(1,)])

    assert status == 0
    assert node.events("node.stopped")


def test_killed_while_receiving_no_acknowledged_instance_is_lost(node, templates, tmp_path):
    """Instances that were answered with Success before kill -9 are in the tables after the restart."""
    acknowledged: list[str] = []
    enough = threading.Event()
    dataset = dcmread(templates[6])
    dataset.StudyInstanceUID = generate_uid(prefix=None)

    def keep_sending() -> None:
        for number in range(500):
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
            path = tmp_path / f"{number}.dcm"
            dataset.save_as(path)
            try:
                node.send(path)
            except DeliveryError:
                return
            acknowledged.append(str(dataset.SOPInstanceUID))
            if len(acknowledged) == 12:
                enough.set()

    node.start()
    sender = threading.Thread(target=keep_sending)
    sender.start()
    assert enough.wait(60)
    node.kill()
    sender.join()
    node.start()

    wait_for(lambda: node.rows("SELECT count(*) FROM instance")[0][0] >= len(acknowledged))

    indexed = {uid for (uid,) in node.rows("SELECT sop_instance_uid FROM instance")}
    assert set(acknowledged) <= indexed
    assert len(node.rows("SELECT path FROM instance")) == len(indexed)


def test_killed_while_analysing_the_study_is_analysed_once(node, pacs, make_study):
    """After the restart there is one finished run, and each object arrives once."""
    study = make_study(0, 1)
    node.start()
    for path in study.files:
        node.send(path)
    wait_for(lambda: node.events("study.analysis_started"))
    node.kill()
    assert pacs.objects(study.study_instance_uid) == []
    node.start()

    wait_for(lambda: node.rows("SELECT state FROM study") == [("reported",)])
    wait_for(lambda: node.rows("SELECT count(*) FROM delivery WHERE state <> 'delivered'") == [(0,)])

    objects = pacs.objects(study.study_instance_uid)
    assert len(objects) == len(set(objects))
    assert kinds(objects)["SR"] == 1
    assert node.rows("SELECT revision, finished_at IS NOT NULL FROM run") == [(1, True)]


def test_killed_while_delivering_each_object_arrives_under_one_uid(node, pacs, make_study, tmp_path):
    """A destination that is away at first gets every object after the restart, none under a second UID."""
    study = make_study(0)
    node.pacs_port, real_port = 9, pacs.port  # port 9: nobody answers
    node.start()
    node.send(study.files[0])
    wait_for(lambda: node.rows("SELECT count(*) FROM delivery WHERE attempt_count > 0")[0][0] >= 1)
    waiting = {uid for (uid,) in node.rows("SELECT sop_instance_uid FROM delivery")}
    node.kill()
    node.pacs_port = real_port
    node.start()

    wait_for(lambda: node.rows("SELECT count(*) FROM delivery WHERE state = 'delivered'") == [(2,)])

    objects = pacs.objects(study.study_instance_uid)
    assert {uid for _, uid in objects} == waiting
    assert len(objects) == 2


def test_metrics_and_health_tell_what_happened(node, pacs, make_study):
    """Counters of the node and of its worker process are in one scrape."""
    study = make_study(0, 4)
    node.start()
    for path in study.files:
        node.send(path)
    wait_for(lambda: node.rows("SELECT count(*) FROM delivery WHERE state = 'delivered'") == [(2,)])

    metrics = node.get("/metrics")

    assert 'echo_scp_instances_received_total{outcome="stored"} 2.0' in metrics
    assert 'echo_scp_studies{state="reported"} 1.0' in metrics
    assert 'echo_scp_deliveries_total{destination="pacs",outcome="delivered"} 2.0' in metrics
    assert 'echo_scp_clips_total{outcome="not_assessed",reason="m_mode"} 1.0' in metrics
    assert 'echo_scp_stage_duration_seconds_count{stage="segment"} 1.0' in metrics
    assert node.get("/healthz") == "ok\n"


def test_no_log_line_names_the_patient(node, pacs, templates, make_study):
    """The phantom's name and ID are in no line, at level info."""
    study = make_study(0)
    header = dcmread(study.files[0], stop_before_pixels=True)
    node.start()
    node.send(study.files[0])
    wait_for(lambda: len(pacs.objects(study.study_instance_uid)) == 2)

    log = node.log()

    assert str(header.PatientName.family_name) not in log
    assert str(header.PatientID) not in log


def test_two_nodes_cannot_share_a_data_folder(node):
    """The second one says so and ends."""
    node.start()
    second = Node(node.folder, node.pacs_port)

    with pytest.raises(AssertionError, match="in use by another node"):
        second.start()


def test_a_port_in_use_is_one_clear_line(node, pacs):
    """The administrator reads which port, not a traceback."""
    node.port = pacs.port

    with pytest.raises(AssertionError, match=f"cannot listen on 127.0.0.1:{pacs.port}") as raised:
        node.start()

    assert "Traceback" not in str(raised.value)
    node.port = pick_port()


def test_a_late_clip_and_a_kill_together_lose_nothing(node, pacs, make_study):
    """The killed job and the newer one of the same study do not block each other."""
    study = make_study(0, 1, 4)
    node.start()
    for path in study.files[:2]:
        node.send(path)
    wait_for(lambda: node.events("study.analysis_started"))
    node.send(study.files[2])
    wait_for(lambda: node.rows("SELECT count(*) FROM instance") == [(3,)])
    node.kill()
    node.start()

    wait_for(lambda: node.rows("SELECT state FROM study") == [("reported",)])
    wait_for(lambda: node.rows("SELECT count(*) FROM delivery WHERE state <> 'delivered'") == [(0,)])

    ((clips,),) = node.rows("SELECT count(*) FROM clip WHERE run_id = (SELECT max(id) FROM run)")
    objects = pacs.objects(study.study_instance_uid)
    assert clips == 3
    assert len(objects) == len(set(objects))


@pytest.mark.dcmtk
def test_dcmtk_sends_and_receives(node, pacs, make_study, dcmtk, tmp_path, free_port):
    """echoscu and dcmsend on one side, storescp on the other."""
    study = make_study(0, 4)
    received = tmp_path / "storescp"
    received.mkdir()
    node.pacs_port = free_port
    storescp = subprocess.Popen(["storescp", "--output-directory", str(received), str(free_port)])
    try:
        node.start()
        echo = dcmtk("echoscu", "127.0.0.1", node.port)
        sent = dcmtk("dcmsend", "127.0.0.1", node.port, *study.files)
        wait_for(lambda: node.rows("SELECT count(*) FROM delivery WHERE state = 'delivered'") == [(2,)])
    finally:
        storescp.terminate()
        storescp.wait()

    assert echo.returncode == 0, echo.stderr
    assert sent.returncode == 0, sent.stderr
    assert kinds((dcmread(path).Modality, path) for path in received.iterdir()) == RESULT_OF_ONE_CLIP
