"""The page can be imported where there is nothing but what Windows has, too."""

import subprocess
import sys
from pathlib import Path

# asyncio and the lock library import them themselves, where they are: so they come first.
_SCRIPT = """
import sys
import filelock, gradio, matplotlib.figure, torch, transformers
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
import app.launch, app.ui, app.jobs.worker, lineas_core.cli
"""


def test_the_page_and_the_command_line_need_no_module_of_posix():
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", _SCRIPT]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
