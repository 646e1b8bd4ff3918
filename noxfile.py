"""Sessions of this project. All but `f5` share one environment, because it is 6 GB large."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", "tests"]
nox.options.error_on_missing_interpreters = True

ROOT = Path(__file__).parent
ENVIRONMENT = Path(os.environ.get("STATELESS_TTS_ENV", ROOT / ".nox" / "env"))
F5_ENVIRONMENT = Path(os.environ.get("STATELESS_TTS_F5_ENV", ROOT / ".nox" / "env-f5"))
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def prepare_environment(session: nox.Session, environment: Path, extras: str) -> Path:
    """Create an environment, or bring it up to date if pyproject.toml has changed since; returns its Python."""
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + str(ROOT).encode()).hexdigest()
    stamp = environment / "pyproject.sha256"
    # A cache may bring an environment back without the Python that it leads to.
    if python.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    if not python.exists():
        session.run(sys.executable, "-m", "venv", "--clear", str(environment), external=True)
    session.log("Installing into %s; the first time this takes some minutes and 6 GB.", environment)
    install(session, python, "--quiet", "--editable", f".[{extras}]")
    stamp.write_text(wanted, encoding="utf-8")
    return python


def install(session: nox.Session, python: Path, *arguments: str) -> None:
    """Let uv install, in a minute, if it stands beside nox, and pip, in five, if not, or if uv cannot.

    uv goes by settings of its own, and knows none of pip's: who has an index or constraints there leaves it out.
    """
    if importlib.util.find_spec("uv"):
        try:
            session.run(
                sys.executable, "-m", "uv", "pip", "install", "--python", str(python), *arguments, external=True
            )
        except CommandFailed:
            session.warn("uv cannot install what is needed; pip will try")
        else:
            return
    session.run(str(python), "-m", "pip", "install", *arguments, external=True)


def python(session: nox.Session, *arguments: str, **variables: str) -> None:
    """Run the shared environment's Python on `arguments`, with every model hub switched off."""
    executable = prepare_environment(session, ENVIRONMENT, "dev")
    session.run(str(executable), *arguments, env={**OFFLINE, **variables}, external=True)


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Check style with ruff and types with mypy, the tests included."""
    python(session, "-m", "ruff", "check", ".")
    python(session, "-m", "ruff", "format", "--check", ".")
    python(session, "-m", "mypy")


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Run the test suite. Warnings are errors."""
    # Up to 16 threads call the model; a team of OpenMP threads for each of them would only get in its own way.
    # Two processes instead. Each begins with one half of the files, so that the models of a file are built once, and
    # helps the other when it has done.
    python(
        session,
        *("-m", "pytest", "--numprocesses", "2", "--dist", "worksteal", "--benchmark-disable"),
        *session.posargs,
        OMP_NUM_THREADS="1",
    )


@nox.session(venv_backend="none", default=False)
def stress(session: nox.Session) -> None:
    """Put 1 to 16 threads on every built-in subject, judge them, and draw the report."""
    python(session, "-m", "harness", "stress", "--out", "reports/stress", *session.posargs)


@nox.session(venv_backend="none", default=False)
def hazards(session: nox.Session) -> None:
    """Reproduce every hazard of the catalogue on stock upstream and on this project, and write the table."""
    python(session, "-m", "harness", "hazards", "--out", "reports/hazards", *session.posargs)


@nox.session(venv_backend="none", default=False)
def power(session: nox.Session) -> None:
    """Plant faults in the wrapper, see which detector catches which, and count false alarms."""
    python(session, "-m", "harness", "power", "--out", "reports/power", *session.posargs)


@nox.session(venv_backend="none", default=False)
def soak(session: nox.Session) -> None:
    """Use everything for some minutes with faults injected everywhere, and account for every segment."""
    python(session, "-m", "harness", "soak", "--out", "reports/soak", *session.posargs)


@nox.session(venv_backend="none", default=False)
def bench(session: nox.Session) -> None:
    """Time kernels and stages with pytest-benchmark, then every way to serve many callers; draw the report.

    The saved stages.json is for `--benchmark-compare` of a later run.
    """
    folder = ROOT / "reports" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    python(session, "-m", "pytest", "tests/benchmarks", "-m", "timed", f"--benchmark-json={folder / 'stages.json'}")
    python(session, "-m", "harness", "bench", "--out", str(folder), *session.posargs)


@nox.session(venv_backend="none", default=False)
def f5(session: nox.Session) -> None:
    """Test and audit F5-TTS behind the streaming seam, in an environment of its own; stock has to come out UNSAFE."""
    executable = prepare_environment(session, F5_ENVIRONMENT, "dev,f5")
    tests = ("tests/f5", "tests/harness/subjects/test_f5.py")
    for arguments, status in (
        (("-m", "pytest", *tests, *session.posargs), 0),
        (("-m", "harness", "audit", "harness.subjects.f5:upstream", "--out", "reports/audit-f5-upstream"), 1),
        (("-m", "harness", "audit", "harness.subjects.f5:stateless", "--out", "reports/audit-f5-stateless"), 0),
    ):
        variables = {**OFFLINE, "OMP_NUM_THREADS": "1"}
        session.run(str(executable), *arguments, env=variables, external=True, success_codes=[status])


@nox.session(venv_backend="none", default=False)
def gate(session: nox.Session) -> None:
    """Say whether the working tree is worse than an earlier revision: PASS, FAIL or INCONCLUSIVE.

    Takes the arguments of `python -m harness gate`, such as `-- --base REV`, `--short` or `--calibrate`.
    """
    # Exit status 3, INCONCLUSIVE, fails this session too: `.ci/run` shows how to tell it from a FAIL.
    python(session, "-m", "harness", "gate", "--out", "reports/gate", *session.posargs)
