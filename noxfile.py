"""The one entry for checks: `nox` runs them all, `nox -s NAME` one of them, or what is no check (`nox -l`).

The sessions use the environment that nox runs in, made by `pip install -e '.[dev]'`. Real services that judge us get an
environment each, because their pins differ from ours.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nox

nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["tests", "lint", "types", "contracts", "docs", "stream_cuts", "live"]

PYTHON = sys.executable
TOOLS = Path(PYTHON).parent
TWO_PROCESSES = ("--numprocesses=2", "--dist=worksteal")
OUTSIDE = {"TMPDIR": tempfile.gettempdir()}
"""Environment in which a pytest that a test starts does not find our settings: nox puts temporary files below them."""
SERVICE_PINS = {
    "adk": "tests/live/adk_service/requirements.txt",
    "agentscope": "tests/live/agentscope_service/requirements.txt",
    "agentscope-legacy": "tests/live/agentscope_service/legacy_requirements.txt",
    "langgraph": "tests/live/langgraph_service/requirements.txt",
    "open-managed-agents": "tests/live/open_managed_agents_service/requirements.txt",
}
"""Requirements of each real service, which has an environment of its own."""
TYPED_BY_USERS = (Path("tests/typing").resolve(), *sorted(Path("examples").resolve().glob("*.py")))
"""Code as users write it."""
SERVICE_PYTHONS = {"langgraph": "3.12", "open-managed-agents": "3.12"}
"""Which Python a service needs, where ours may be too old for it."""
CUT_AT_EVERY_BYTE = (
    "tests/contract/test_cuts.py",
    "tests/cassettes/test_adk_tapes.py",
    "tests/cassettes/test_langgraph_tapes.py",
    "tests/providers/qoder/test_turn_plans.py",
)
"""Test files that cut streams at every byte with `--every-byte`."""
MAY_BE_MISSING = {"open-managed-agents"}
"""Services without which the others still judge, if their Python is not there."""


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Run the tests, with coverage; see `coverage`."""
    session.run(PYTHON, "-m", "pytest", "--cov", "--cov-report=", *TWO_PROCESSES, *session.posargs)
    coverage(session)


@nox.session(venv_backend="none")
def coverage(session: nox.Session) -> None:
    """Check that the last run with coverage covered the core and the reading files, branches included."""
    reading = (f"providers/*/{name}.py" for name in ("events", "history", "messages", "pending", "replies", "sessions"))
    full = ",".join(("src/polysession/_core/*", "providers/*/wire.py", *reading))
    session.run(PYTHON, "-m", "coverage", "report", f"--include={full}", "--fail-under=100", "--show-missing")


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Check style, formatting, and the language of docstrings, comments, messages and pages."""
    session.run(PYTHON, "-m", "ruff", "check", ".")
    session.run(PYTHON, "-m", "ruff", "format", "--check", ".")
    session.run(PYTHON, "-m", "tools.words")


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Check types, the tests' included."""
    session.run(PYTHON, "-m", "mypy")
    session.run(
        PYTHON,
        "-m",
        "mypy",
        "tests",
        "benchmarks",
        "examples/provider-plugin",
        "examples/answered-plugin",
        "examples/web_app/app.py",
        "tools",
        "noxfile.py",
        "docs/generate.py",
        "docs/hooks.py",
        "docs/griffe_fields.py",
        "docs/test_site.py",
    )
    for folder in ("examples", "examples/testing"):
        config = Path("pyproject.toml").resolve()
        with session.chdir(folder):  # where they find each other
            names = sorted(path.name for path in Path().glob("*.py"))
            session.run(PYTHON, "-m", "mypy", f"--config-file={config}", *names)
    pages = Path(session.create_tmp()) / "pages"
    shutil.rmtree(pages, ignore_errors=True)
    pages.mkdir()
    session.run(PYTHON, "-m", "tools.page_code", str(pages))
    session.run(PYTHON, "-m", "mypy", *sorted(map(str, pages.glob("*.py"))))
    _pyright(session, pages)


def _pyright(session: nox.Session, pages: Path) -> None:
    """Check by pyright, in strict mode, what users write, and that each public name has a type that it can see."""
    settings = {
        "typeCheckingMode": "strict",
        "include": [str(pages.resolve()), *map(str, TYPED_BY_USERS)],
        "exclude": [],  # by default all that lies below a folder like `.nox`
        "extraPaths": [str(Path("examples").resolve())],  # where they find each other
    }
    config = pages.parent / "pyrightconfig.json"
    config.write_text(json.dumps(settings))
    at_our_python = {"PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"}
    pyright = str(TOOLS / "basedpyright")
    session.run(pyright, "--project", str(config), env=at_our_python, external=True)
    session.run(pyright, "--verifytypes", "polysession", "--ignoreexternal", env=at_our_python, external=True)


@nox.session(venv_backend="none")
def contracts(session: nox.Session) -> None:
    """Check who imports whom."""
    session.run(TOOLS / "lint-imports", external=True)


@nox.session(venv_backend="none")
def docs(session: nox.Session) -> None:
    """Build the site; warnings are errors. `nox -s docs -- write` writes the generated parts first."""
    session.run(PYTHON, "docs/generate.py", *session.posargs)
    session.run(PYTHON, "-m", "mkdocs", "build", "--strict", "--quiet", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session(venv_backend="none")
def stream_cuts(session: nox.Session) -> None:
    """Cut the stream of each emulator and recorded turns at every byte, with both clients, and reconnect there."""
    session.run(PYTHON, "-m", "pytest", *CUT_AT_EVERY_BYTE, "--every-byte", *TWO_PROCESSES, "-q", *session.posargs)


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """Measure what this client costs beside others; `nox -s bench -- --quick get page` measures some of it."""
    session.run(PYTHON, "-m", "benchmarks", *session.posargs)


@nox.session(venv_backend="none")
def stress(session: nox.Session) -> None:
    """Run all tests whole: every fault in every combination, many random stories, every matrix that is sampled."""
    session.run(PYTHON, "-m", "pytest", "--stress", *TWO_PROCESSES, "-q", *session.posargs)


@nox.session(venv_backend="venv")
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest versions of all dependencies that `pyproject.toml` allows."""
    floors = Path(session.create_tmp()) / "lowest.txt"
    floors.write_text(str(session.run(PYTHON, "-m", "tools.lowest", silent=True, external=True)))
    session.install("--editable", ".[tests]", "--constraint", str(floors))
    session.run("python", "-m", "pytest", *TWO_PROCESSES, *session.posargs, env=OUTSIDE)


@nox.session(venv_backend="none")
@nox.parametrize("version", ["3.12", "3.13"])
def pythons(session: nox.Session, version: str) -> None:
    """Run the tests with another Python, if there is one on the PATH or in pyenv."""
    interpreter = _interpreter(version)
    if interpreter is None:
        session.skip(f"no Python {version} found")
    environment = Path(session.create_tmp()) / "environment"
    session.run(interpreter, "-m", "venv", "--clear", str(environment), external=True)
    python = str(environment / "bin/python")
    session.run(
        python, "-m", "pip", "install", "--quiet", "--editable", ".[tests]", "-c", "constraints.txt", external=True
    )
    session.run(python, "-m", "pytest", *TWO_PROCESSES, *session.posargs, external=True, env=OUTSIDE)


def _interpreter(version: str) -> str | None:
    """The path of an interpreter that runs: shims of pyenv may not."""
    kept_by_pyenv = sorted((Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python"))
    for candidate in (shutil.which(f"python{version}"), *map(str, kept_by_pyenv)):
        if candidate and not subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode:  # noqa: S603
            return candidate
    return None


@nox.session(venv_backend="none")
def build(session: nox.Session) -> None:
    """Build the wheel and the source archive, check both, and run the demo from each in an environment of its own."""
    scratch = Path(session.create_tmp()).resolve()  # also found from another folder
    built = scratch / "dist"
    shutil.rmtree(built, ignore_errors=True)
    session.run(PYTHON, "-m", "build", "--outdir", str(built))
    archives = sorted(map(str, built.iterdir()))
    session.run(PYTHON, "-m", "twine", "check", "--strict", *archives)
    for archive in archives:
        environment = scratch / "environment"
        session.run(PYTHON, "-m", "venv", "--clear", str(environment))
        tools = environment / "bin"
        pip = (str(tools / "pip"), "install", "--quiet", f"{archive}[all]", "--constraint", "constraints.txt")
        session.run(*pip, external=True)
        session.run(str(tools / "polysession"), "demo", external=True)
        _check_new_providers(session, scratch, tools)


def _check_new_providers(session: nox.Session, scratch: Path, tools: Path) -> None:
    """Start a provider with an emulator and one without, and run their tests and checks."""
    session.run(str(tools / "pip"), "install", "--quiet", "mypy", "ruff", "-c", "constraints.txt", external=True)
    for options in ((), ("--no-emulator",)):
        folder = scratch / "acme"
        shutil.rmtree(folder, ignore_errors=True)
        session.run(str(tools / "polysession"), "new-provider", "acme", str(folder), *options, external=True)
        with session.chdir(folder):
            session.run(str(tools / "pip"), "install", "--quiet", "--no-deps", "--editable", ".", external=True)
            session.run(str(tools / "pytest"), "-q", "tests", external=True)
            session.run(str(tools / "mypy"), "src", "tests", external=True)
            session.run(str(tools / "ruff"), "check", external=True)
            session.run(str(tools / "ruff"), "format", "--check", external=True)


@nox.session(venv_backend="none")
def web_app(session: nox.Session) -> None:
    """Drive the page of `examples/web_app` in Chromium without a window: Debian's package `chromium` is needed."""
    _in_browser(session, "examples/web_app/test_page.py")


@nox.session(venv_backend="none")
def site(session: nox.Session) -> None:
    """Build the site and measure every page in Chromium, wide and at the width of a phone; see `web_app`."""
    _in_browser(session, "docs/test_site.py")


def _in_browser(session: nox.Session, tests: str) -> None:
    session.run(PYTHON, "-m", "pip", "install", "--quiet", "playwright", "--constraint", "constraints.txt")
    session.run(PYTHON, "-m", "pytest", "--numprocesses=0", tests, *session.posargs)


@nox.session(venv_backend="venv")
def at_scale(session: nox.Session) -> None:
    """Run `examples/at_scale`: many turns as Ray tasks, each exactly once although a worker is killed."""
    pins = ("--requirement", "examples/at_scale/requirements.txt", "--constraint", "constraints.txt")
    session.install("--editable", ".[emulator]", *pins)
    session.run("python", "examples/at_scale/run.py", *session.posargs)


@nox.session(venv_backend="none")
def mutants(session: nox.Session) -> None:
    """Break the library in thirty places, one at a time, and check that the tests notice."""
    session.run(PYTHON, "-m", "tools.mutants", *session.posargs)


@nox.session(venv_backend="none")
def load(session: nox.Session) -> None:
    """Follow 1,000 streams at once, and write what it took into docs/load.md."""
    session.run(PYTHON, "-m", "tools.load", *session.posargs, env={"NO_PROXY": "127.0.0.1"})


@nox.session(venv_backend="venv")
def live(session: nox.Session) -> None:
    """Judge by ADK, AgentScope (2.0.11 and 2.0.0), LangGraph and open-managed-agents; the last two need Python 3.12."""
    options = ["--numprocesses=0", *_services(session)]  # one service, not one for each worker
    session.run(PYTHON, "-m", "pytest", "tests/live", *options, *session.posargs, external=True)
    for name in sorted(MAY_BE_MISSING):
        if not any(option.startswith(f"--{name}-python=") for option in options):
            session.warn(f"{name} DID NOT JUDGE: it needs Python {SERVICE_PYTHONS[name]}, on the PATH or in pyenv")


def _services(session: nox.Session, *names: str) -> list[str]:
    """Install real services, all or those named; gives the options of pytest that name their interpreters."""
    options = []
    for name in names or SERVICE_PINS:
        environment = Path(session.bin).parent / "services" / name
        python = environment / "bin" / "python"
        if not python.exists():
            interpreter = _service_interpreter(session, name)
            if interpreter is None:
                continue
            session.run(interpreter, "-m", "venv", str(environment), external=True)
        session.run(str(python), "-m", "pip", "install", "--quiet", "--requirement", SERVICE_PINS[name], external=True)
        options.append(f"--{name}-python={python}")
    return options


def _service_interpreter(session: nox.Session, name: str) -> str | None:
    """The Python for a service; None if it is missing, which fails the session unless that service may be missing."""
    version = SERVICE_PYTHONS.get(name)
    interpreter = PYTHON if version is None else _interpreter(version)
    if interpreter is None and name not in MAY_BE_MISSING:
        session.error(f"the service {name} needs Python {version}, on the PATH or in pyenv")
    return interpreter


@nox.session(venv_backend="venv")
def record(session: nox.Session) -> None:
    """Record the cassettes and tapes of one source again: `nox -s record -- SOURCE`; then look at what changed.

    `adk`, `agentscope` and `langgraph` are recorded from their servers, in environments of their own,
    `agentscope-legacy` from the first service that was published; its environment has a `redis-server`. `everruns`
    needs Rust, and builds the engine for some minutes the first time. `qoder` needs QODER_ACCESS_TOKEN, and costs
    credits.
    """
    source, *more = session.posargs or [""]
    if source not in RECORDED_BY:
        session.error(f"nox -s record -- SOURCE, where SOURCE is one of {', '.join(RECORDED_BY)}")
    options = ["--numprocesses=0", f"--record={source}", *RECORDED_BY[source](session)]
    session.run(PYTHON, "-m", "pytest", "tests/cassettes", *options, *more, external=True)
    session.run(PYTHON, "-m", "tools.recordings", external=True)


def _adk(session: nox.Session) -> list[str]:
    return _services(session, "adk")


def _agentscope(session: nox.Session) -> list[str]:
    return _services(session, "agentscope")


def _agentscope_legacy(session: nox.Session) -> list[str]:
    session.install("--requirement", SERVICE_PINS["agentscope-legacy"])
    return [f"--agentscope-python={Path(session.bin) / 'python'}"]


def _everruns(_: nox.Session) -> list[str]:
    return []  # cargo builds what it is recorded from


def _langgraph(session: nox.Session) -> list[str]:
    return _services(session, "langgraph")


def _qoder(session: nox.Session) -> list[str]:
    if not os.environ.get("QODER_ACCESS_TOKEN"):
        session.error("set QODER_ACCESS_TOKEN; QODER_MANAGED_BASE_URL if it is not of the global site")
    return []


RECORDED_BY = {
    "adk": _adk,
    "agentscope": _agentscope,
    "agentscope-legacy": _agentscope_legacy,
    "everruns": _everruns,
    "langgraph": _langgraph,
    "qoder": _qoder,
}
"""Preparation of each recorded source: gives the options of pytest."""


@nox.session(venv_backend="venv")
def spec_drift(session: nox.Session) -> None:
    """Compare what backends publish with what we know: the SDKs, AgentScope's service, and documents that are given.

    `nox -s spec_drift -- --openapi everruns=PATH_OR_URL` adds a published description, and `--write` writes down what
    is published now. `--agentscope-python=PATH` names a service that is installed already.
    """
    arguments = list(session.posargs)
    if not any(each.startswith("--agentscope-python") for each in arguments):
        arguments += _services(session, "agentscope")
    session.run(PYTHON, "-m", "tools.spec_drift", *arguments, external=True)


@nox.session(venv_backend="venv")
def evidence(session: nox.Session) -> None:
    """Run the tests and the live ones, write down what each shows, and make the page `docs/evidence.md` of it."""
    pytest = (PYTHON, "-m", "pytest", "-q", "--stress", *session.posargs)
    session.run(*pytest, *TWO_PROCESSES, "--ignore=tests/docs", "--evidence=normal", external=True)
    live = ("tests/live", "--numprocesses=0", *_services(session))
    session.run(*pytest, *live, "--evidence=live", external=True)
    session.run(PYTHON, "docs/generate.py", "write", external=True)
