"""A machine that tells of its work: procedure step, images, commitment, over the real process."""

from __future__ import annotations

from pydicom import dcmread

from tests.acceptance.running import Node, wait_for
from tests.network.test_notes import STEP, Reports, associated, begun, commitment, ended


def test_a_machine_that_tells_has_its_commitment_and_its_report_long_before_quiet(tmp_path, pacs, make_study):
    """The images are promised on the association that asked, and the study is analysed when its step is completed."""
    study = make_study(4)
    uid = dcmread(study.files[0], stop_before_pixels=True)
    node = Node(tmp_path / "node", pacs.port, quiet_period_s=3600)
    node.start()
    reports = Reports()
    try:
        with associated(node.port) as machine:
            machine.send_n_create(begun(study=study.study_instance_uid), STEP, "1.2.8")
        node.send(study.files[0])
        request = commitment(uid.SOPInstanceUID)
        request.ReferencedSOPSequence[0].ReferencedSOPClassUID = uid.SOPClassUID
        with associated(node.port, reports.handler) as machine:
            machine.send_n_action(request, 1, "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1")
            assert reports.came.wait(60)
            wait_for(lambda: not list(node.data.glob("commitment/*.answer")))
        before = node.rows("SELECT state FROM study")
        with associated(node.port) as machine:
            machine.send_n_set(ended("COMPLETED", uid.SOPInstanceUID), STEP, "1.2.8")
        wait_for(lambda: node.rows("SELECT state FROM study") == [("reported",)])
    finally:
        node.stop()

    assert before == [("receiving",)]
    assert [event_type for event_type, _ in reports.got] == [1]
    assert len(node.events("commitment.answered")) == 1
