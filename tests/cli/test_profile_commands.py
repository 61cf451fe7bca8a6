"""`polysession profiles`: the configuration file is edited, and nothing else in it changes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from polysession.emulation import EmulatorHandle
from support.command import Shell

COMMENTED = (
    '# mine\n\n[profiles.laptop] # here\nprovider = "agentscope"\nbase_url = "http://127.0.0.1:1"\nuser_id = "me"\n'
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration file, in its folder."""
    path = tmp_path / "config/polysession/config.toml"
    path.parent.mkdir(parents=True)
    return path


def add(name: str, *options: str) -> list[str]:
    return ["profiles", "add", name, "--provider", "qoder", "--from-env", "token=TOKEN", *options]


def test_a_profile_is_added_listed_and_used(qoder: EmulatorHandle, config: Path) -> None:
    shell = Shell({"TOKEN": str(qoder.settings["token"])})
    config.write_text(COMMENTED)
    config.chmod(0o640)

    added = shell.done(*add("local", "--set", f"base_url={qoder.base_url}", "--agent", qoder.agent_id))
    assert added.out.replace("\n", "").endswith("config.toml was added")
    assert config.read_text().startswith(COMMENTED)
    assert config.stat().st_mode & 0o777 == 0o640
    listed = {line["name"]: line for line in shell.done("profiles", "list", "--json").lines}
    assert listed["local"] == {
        "name": "local",
        "provider": "qoder",
        "default": False,
        "settings": {"base_url": qoder.base_url},
        "secrets": ["token"],
        "new_session": {"agent": qoder.agent_id},
    }
    assert shell.run("sessions", "list").code == 2
    shell.done("profiles", "use", "local")
    assert shell.run("sessions", "list").code == 0
    assert tomllib.loads(config.read_text())["default"] == "local"
    shell.done("profiles", "use", "laptop")
    assert config.read_text().count("default = ") == 1
    assert shell.done("profiles", "list").out.splitlines()[1].split()[:3] == ["*", "laptop", "agentscope"]


def test_a_new_file_is_for_its_owner_alone(config: Path) -> None:
    shell = Shell()
    config.parent.rmdir()

    assert "no profiles in" in shell.done("profiles", "list").err
    shell.done(*add("a.b", "--from-keyring", "workspace_id=service/user", "--model", "m", "--model-type", "t", "--use"))
    assert config.stat().st_mode & 0o777 == 0o600
    assert tomllib.loads(config.read_text()) == {
        "default": "a.b",
        "profiles": {
            "a.b": {
                "provider": "qoder",
                "token": {"env": "TOKEN"},
                "workspace_id": {"keyring": "service/user"},
                "new_session": {"model": "m", "model_type": "t"},
            }
        },
    }


def test_a_nested_secret_is_referred_to(config: Path) -> None:
    options = ["--set", "base_url=http://127.0.0.1:1", "--set", "user_id=me", "--from-env", "headers.x-key=KEY"]
    Shell().done("profiles", "add", "gateway", "--provider", "agentscope", *options)

    assert tomllib.loads(config.read_text())["profiles"]["gateway"]["headers"] == {"x-key": {"env": "KEY"}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "x"], "--provider is missing"),
        (["add", "laptop", "--provider", "qoder"], "profile 'laptop' already exists"),
        (["add", "x", "--provider", "qodr"], "Did you mean 'qoder'?"),
        (["add", "x", "--provider", "qoder", "--set", "tokn=x"], "unknown setting 'tokn'"),
        (
            ["add", "x", "--provider", "qoder", "--set", "base_url=x", "--from-env", "token=T"],
            "invalid setting: base_url",
        ),
        (["add", "x", "--provider", "qoder", "--set", "token=c4n4ry"], "use --from-env token=VARIABLE"),
        (["add", "x", "--provider", "agentscope"], "'base_url' is missing"),
        (["add", "x", "--provider", "qoder", "--credential", "c"], "need --model"),
        (["add", "x", "--provider", "qoder", "--set", "a=1", "--from-env", "a=A"], "setting 'a' is given twice"),
        (["use", "nobody"], "It has: laptop"),
    ],
)
def test_wrong_profiles_are_usage_errors_and_the_file_stays(arguments: list[str], message: str, config: Path) -> None:
    config.write_text(COMMENTED)
    ran = Shell().run("profiles", *arguments)

    assert (ran.code, message in " ".join(ran.err.split())) == (2, True), ran.err
    assert "c4n4ry" not in ran.err
    assert config.read_text() == COMMENTED


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("profiles = { a = { provider = 'qoder' } }\n", add("b")),
        ('profiles.a.provider = "x"\nprofiles.a.text = """\ndefault = 1\n"""\n', ["profiles", "use", "a"]),
    ],
)
def test_a_file_that_cannot_be_edited_safely_stays(text: str, arguments: list[str], config: Path) -> None:
    config.write_text(text)
    ran = Shell().run(*arguments)

    assert (ran.code, "edit the file in an editor" in ran.err) == (2, True)
    assert config.read_text() == text


def test_a_variable_that_comes_first_is_named(config: Path) -> None:
    config.write_text(COMMENTED)

    used = Shell({"POLYSESSION_PROVIDER": "qoder"}).done("profiles", "use", "laptop")
    assert "POLYSESSION_PROVIDER is set, and overrides the default profile" in used.err


def test_the_defaults_of_new_sessions_give_way_to_options_and_emulators(qoder: EmulatorHandle) -> None:
    shell = Shell({"TOKEN": str(qoder.settings["token"])})
    where = ["--agent", qoder.agent_id, "--environment", str(qoder.environment_id)]
    shell.done(*add("local", "--set", f"base_url={qoder.base_url}", *where, "--use"))

    created = shell.done("sessions", "create", "--json").json
    assert (created["agent_id"], created["environment_id"]) == (qoder.agent_id, qoder.environment_id)
    assert shell.run("sessions", "create", "--agent", "agent_00000000000000000000").code == 5
    assert shell.done("sessions", "create", "--emulated", "--json").json["agent_id"] != qoder.agent_id
