"""What an administrator types while a node runs."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.running import wait_for


def test_the_commands_tell_of_a_running_node_and_make_it_try_again(node, pacs, make_study, command):
    """One node, one study, every command: doctor, status, studies, study, reanalyse, retry."""
    study = make_study(0, 4)
    node.start()
    config = ("--config", node.folder / "node.toml")
    for path in study.files:
        node.send(path)
    uid = study.study_instance_uid
    wait_for(lambda: node.rows("SELECT count(*) FROM delivery WHERE state = 'delivered'") == [(2,)])

    doctor = json.loads(command("doctor", "--json", *config).stdout)
    summary = json.loads(command("status", "--json", *config).stdout)
    (listed,) = json.loads(command("studies", "--json", *config).stdout)
    shown = json.loads(command("study", uid, "--json", *config).stdout)

    outcomes = {(finding["topic"], finding["name"]): finding["outcome"] for finding in doctor["findings"]}
    assert "failed" not in outcomes.values()
    assert outcomes["ports", "receive.port"] == outcomes["ports", "web.port"] == "passed"
    assert outcomes["database", "tables"] == outcomes["destination pacs", "takes SEG"] == "passed"
    assert summary["studies"] == {"reported": 1}
    assert summary["deliveries"] == {"delivered": 2}
    assert (listed["study_instance_uid"], listed["instance_count"]) == (uid, 2)
    assert listed["calling_ae_titles"] == ["CART"]
    assert [clip["reason"] for clip in shown["clips"] if clip["reason"]] == ["m_mode"]
    assert {(sent["kind"], sent["destination"], sent["state"]) for sent in shown["deliveries"]} == {
        ("SR", "pacs", "delivered"),
        ("SEG", "pacs", "delivered"),
    }
    assert len(shown["engines"]) == 2

    assert "is analysed again" in command("reanalyse", uid, *config).stdout
    wait_for(lambda: node.rows("SELECT state, revision FROM study") == [("reported", 1)])
    node.rows("UPDATE delivery SET state = 'given_up' RETURNING 1")
    assert "2 objects sent again" in command("retry", *config).stdout
    assert node.rows("SELECT DISTINCT state FROM delivery") != [("given_up",)]


@pytest.mark.parametrize("words", [("studies",), ("deliveries", "list")])
def test_commands_without_a_node_say_so(words, command, tmp_path):
    """The embedded database runs with its node."""
    config = tmp_path / "node.toml"
    config.write_text(f"data_folder = '{tmp_path / 'data'}'\n")

    done = command(*words, "--config", config)

    assert done.returncode == 1
    assert "systemctl start echo-scp" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("words", [("studies",), ("deliveries", "list")])
def test_a_url_that_is_none_is_told_without_its_password(words, command, tmp_path):
    """At once: no waiting makes it one."""
    config = tmp_path / "node.toml"
    config.write_text("database.url = 'mysql://user:Kanarie@host/name'\n")

    done = command(*words, "--config", config)

    assert done.returncode == 1
    assert "expected postgresql://" in done.stderr
    assert "Kanarie" not in done.stdout + done.stderr


def test_the_doctor_says_which_key_is_wrong(command, tmp_path):
    """A file that the node would not start with is a finding too, for programs as well."""
    config = tmp_path / "node.toml"
    config.write_text("[receive]\nport = 'x'\n")

    done = command("doctor", "--json", "--config", config)

    (finding,) = json.loads(done.stdout)["findings"]
    assert done.returncode == 1
    assert finding["outcome"] == "failed"
    assert "receive.port" in finding["detail"]


def test_config_explain_names_what_was_meant(command):
    """A slip in a key is answered with keys that are there."""
    assert "ECHO_SCP_RECEIVE__PORT" in command("config", "explain", "receive.port").stdout

    wrong = command("config", "explain", "recive.port")

    assert wrong.returncode == 1
    assert "receive.port" in wrong.stderr
