"""The configuration: defaults, files, environment, and errors that name what to mend."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from echo_scp.config import _CHANGES_NO_NUMBER, AnalysisConfig, Config, load
from echo_scp.errors import ConfigurationError


def write(tmp_path, text):
    path = tmp_path / "node.toml"
    path.write_text(text)
    return path


def test_no_file_and_no_environment_give_the_defaults():
    """An administrator may start with nothing."""
    assert load(None, {}) == Config()


def test_a_file_sets_what_it_names(tmp_path):
    """Other keys keep their defaults."""
    path = write(tmp_path, '[receive]\nport = 104\n[[destinations]]\nname="a"\nae_title="PACS"\nhost="h"\n')

    config = load(path, {})

    assert config.receive.port == 104
    assert config.receive.ae_title == "ECHO_SCP"
    assert [(item.name, item.port, item.send) for item in config.destinations] == [("a", 104, ("SR", "SEG"))]


def test_the_environment_overrides_the_file(tmp_path):
    """Sections and keys are joined by two underscores."""
    path = write(tmp_path, "[receive]\nport = 104\n")

    config = load(path, {"ECHO_SCP_RECEIVE__PORT": "11113", "ECHO_SCP_DATA_FOLDER": "/srv", "OTHER": "x"})

    assert config.receive.port == 11113
    assert str(config.data_folder) == "/srv"


def test_an_institution_may_be_named_in_any_script():
    """With the space that Japanese uses, and the joiner of Persian, which Python calls not printable."""
    for name in ("東京大学\u3000附属病院", "بیمارستان می\u200cلاد"):
        assert Config(report={"institution_name": name}).report.institution_name == name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[receive]\nprot = 1\n", "receive.prot: unknown key"),
        ("[receive]\nport = 70000\n", "receive.port"),
        ('[receive]\nae_title = "THIS IS TOO LONG AN AE"\n', "AE title"),
        ('[report]\nuid_root = "1.02.3"\n', "UID root"),
        ("[report]\ninstitution_name = 'North\\South'\n", "report.institution_name: Value error, must be at most 64"),
        (f'[report]\ninstitution_name = "{65 * "x"}"\n', "report.institution_name: Value error, must be at most 64"),
        ('[report]\ninstitution_name = "North\\nSouth"\n', "report.institution_name: Value error, must be at most 64"),
        ('[log]\nlevel = "loud"\n', "'debug', 'info', 'warning' or 'error'"),
        (
            '[[destinations]]\nname="a"\nae_title="P"\n',
            "destinations.0: Value error, a destination needs ae_title and host",
        ),
        ('[[destinations]]\nname="a"\nurl="ftp://x"\n', "destinations.0.url: Value error, must be the URL"),
        ('[[destinations]]\nname="a"\nurl="http://x"\nhost="x"\n', "a destination with a url has no"),
        ('[[destinations]]\nname="a"\nurl="http://x"\nuser="x"\n', "give user and password_file"),
        ('[[destinations]]\nname="a"\nae_title="P"\nhost="x"\ntls_ca="none.pem"\n', "must be an existing file"),
        ("data_folder = [", "not valid TOML"),
    ],
)
def test_an_error_names_file_key_and_expectation(tmp_path, text, expected):
    """Whatever is wrong, the message says where."""
    path = write(tmp_path, text)

    with pytest.raises(ConfigurationError) as raised:
        load(path, {})

    assert str(path) in str(raised.value)
    assert expected in str(raised.value)


def test_the_environment_gives_lists_as_toml_does():
    """What only looks like a list, an address of IPv6, stays text."""
    config = load(None, {"ECHO_SCP_REPORT__OBJECTS": '["SR", "SEG"]', "ECHO_SCP_WEB__ADDRESS": "::1"})

    assert config.report.objects == ("SR", "SEG")
    with pytest.raises(ConfigurationError, match=r"ECHO_SCP_REPORT__OBJECTS: report\.objects.*\[::1\]"):
        load(None, {"ECHO_SCP_REPORT__OBJECTS": "[::1]"})
    with pytest.raises(ConfigurationError, match=r"ECHO_SCP_REPORT__OBJECTS: report\.objects\.1: .*'SAG'"):
        load(None, {"ECHO_SCP_REPORT__OBJECTS": '["SR", "SAG"]'})


def test_an_unknown_variable_is_named_and_not_the_file(tmp_path):
    """Whether its section is known or not."""
    for variable in ("ECHO_SCP_RECIEVE__PORT", "ECHO_SCP_RECEIVE__PROT"):
        with pytest.raises(ConfigurationError, match=f"^{variable}: .*unknown key"):
            load(None, {variable: "104"})


def test_an_error_of_the_environment_names_the_variable():
    """Not the file, which is innocent."""
    with pytest.raises(ConfigurationError, match=r"ECHO_SCP_RECEIVE__PORT: receive\.port"):
        load(None, {"ECHO_SCP_RECEIVE__PORT": "many"})


def test_a_missing_file_is_named(tmp_path):
    """The path is in the message."""
    with pytest.raises(ConfigurationError, match=r"absent\.toml"):
        load(tmp_path / "absent.toml", {})


def test_two_destinations_cannot_share_a_name(tmp_path):
    """Deliveries are told apart by it."""
    table = '[[destinations]]\nname="a"\nae_title="P"\nhost="h"\n'

    with pytest.raises(ConfigurationError, match="destination names must differ"):
        load(write(tmp_path, table * 2), {})


@pytest.mark.parametrize(
    ("report", "kind", "expected"),
    [
        ("", "SR_SIMPLIFIED", "destinations: Value error, destination cvis is to be sent SR_SIMPLIFIED: add it to"),
        ('objects = ["SR"]', "SEG", "sent SEG: add it to report.objects, or take it out of send"),
        ('sr_class = "comprehensive"', "SR_COMPREHENSIVE", "which by report.sr_class is SR: send that"),
    ],
)
def test_a_destination_is_sent_what_is_made(tmp_path, report, kind, expected):
    """Else nothing would ever come; the message says what to do, and tells nothing of other sections."""
    database = '[database]\nurl = "postgresql://node:secret@db/echo"\n'
    table = f'[[destinations]]\nname="cvis"\nae_title="P"\nhost="h"\nsend=["SR", "{kind}"]\n'

    with pytest.raises(ConfigurationError) as raised:
        load(write(tmp_path, f"{database}[report]\n{report}\n{table}"), {})

    assert expected in str(raised.value)
    assert "secret" not in str(raised.value)
    asked = load(write(tmp_path, f'[report]\nobjects = ["SR", "{kind}"]\n{table}'), {})
    assert asked.destinations[0].send == ("SR", kind)


def test_a_configuration_cannot_be_changed():
    """It is read once and passed as a value."""
    with pytest.raises(ValidationError):
        Config().receive.port = 1


def test_plans_are_kept_with_the_data_unless_told_otherwise(tmp_path):
    """A disk of its own for data_folder holds them too."""
    moved = load(None, {"ECHO_SCP_DATA_FOLDER": str(tmp_path)})
    told = load(None, {"ECHO_SCP_DATA_FOLDER": str(tmp_path), "ECHO_SCP_ANALYSIS__PLAN_FOLDER": "/var/cache/plans"})

    assert moved.analysis.plan_folder == tmp_path / "plans"
    assert told.analysis.plan_folder == Path("/var/cache/plans")


@pytest.mark.parametrize(
    ("key", "value", "counts"),
    [
        ("minimum_frames", 12, True),
        ("maximum_pixels", 1_500_000, True),
        ("stress", True, True),
        ("runtime", "tensorrt", True),
        ("threads", 3, False),
        ("batch_frames", 3, False),
        ("memory_mb", 100, False),
        ("kept_mb", 0, False),
        ("plan_folder", "/var/cache/plans", False),
    ],
)
def test_the_settings_of_an_analysis_are_those_that_can_change_a_number(key, value, counts):
    """Whatever makes results come faster leaves their UIDs alone."""
    changed = AnalysisConfig.model_validate({key: value})

    assert (changed.settings() != AnalysisConfig().settings()) == counts


def test_a_new_key_of_an_analysis_counts_until_somebody_says_otherwise():
    """What cannot change a number is listed by name, and every name is a key."""
    assert set(AnalysisConfig.model_fields) >= _CHANGES_NO_NUMBER


def test_the_shortest_quiet_period_is_that_of_the_fastest_machine():
    """A study is asked for the first time when it has passed; who needs longer is waited for."""
    peers = [{"name": name, "ae_title": name, "quiet_period_s": s} for name, s in (("a", 20), ("b", None), ("c", 900))]

    assert Config().shortest_quiet_period_s == 30
    assert Config.model_validate({"receive": {"peers": peers}}).shortest_quiet_period_s == 20
