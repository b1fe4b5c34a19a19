"""Child processes run to their end, or are ended."""

import sys
import time

import pytest

from lineas_core.runtime.children import run_child
from lineas_core.runtime.reporting import on_change


def _python(code):
    return [sys.executable, "-S", "-c", code]


def test_a_child_tells_its_status_and_its_errors():
    ended = run_child(_python("import sys; print(1); sys.exit('no more ' * 20_000)"), print)
    assert (ended.returncode, len(ended.stderr.strip())) == (1, 8 * 20_000 - 1)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_child_is_killed_when_its_watcher_raises_an_error(error, tmp_path):
    file = tmp_path / "alive"
    code = f"import time\nwhile True: open({str(file)!r}, 'a').write('.'); time.sleep(0.02)"

    def tick():
        if file.exists():
            raise error

    with pytest.raises(error):
        run_child(_python(code), tick)
    size = file.stat().st_size
    time.sleep(0.2)
    assert file.stat().st_size == size


def test_a_report_is_made_at_a_change():
    said = []
    tell = on_change(said.append)
    for sentence in ("a", "a", "b", "a"):
        tell(sentence)
    assert said == ["a", "b", "a"]
