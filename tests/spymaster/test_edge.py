"""Exit codes and error texts at the border to the shell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cyclopts import App

from data_eng.errors import LakeError, MissingDataError, SpymasterError
from spymaster.edge import run_app, size_text


def _app(error: BaseException | None, result: int = 0) -> App:
    app = App(name="tool", result_action="return_value")

    @app.default
    def command() -> int:
        if error is not None:
            raise error
        return result

    return app


@pytest.mark.parametrize(
    ("error", "code"), [(MissingDataError("no file"), 2), (LakeError("disk is full"), 1)]
)
def test_an_error_for_the_user_is_one_line_without_traceback(
    error: SpymasterError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(_app(error), []) == code
    assert capsys.readouterr().err == f"tool: {error}\n"


def test_a_bug_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_app(_app(ZeroDivisionError()), [])


def test_ctrl_c_exits_with_1_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(_app(KeyboardInterrupt()), []) == 1
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize("result", [0, 1])
def test_what_a_command_returns_is_the_exit_code(result: int) -> None:
    assert run_app(_app(None, result), []) == result


def test_a_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    code = "from spymaster.cli import main; import sys; sys.argv = ['spymaster', '--help']; sys.exit(main())"
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout is not None
    assert run.stderr is not None
    run.stdout.close()
    error = run.stderr.read().decode()
    run.wait()
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (5_300_000, "5.3 MB"), (2 * 10**12, "2.0 TB")],
)
def test_sizes_read_in_powers_of_ten(size: int, text: str) -> None:
    assert size_text(size) == text


def test_the_command_line_never_loads_pandas_which_pyarrow_would() -> None:
    code = (
        "import sys; from spymaster.cli import main; sys.argv = ['spymaster', '--version']; main()\n"
        "import numpy, pyarrow; pyarrow.array(numpy.zeros(1)); print('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
