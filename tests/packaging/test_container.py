"""What the container has, by its Dockerfile; it is not built here."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _stages():
    """Name -> instructions of each stage, without comments, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M)
    pieces = re.split(r"^FROM \S+ AS (\w+)\n", text.replace("\\\n", " "), flags=re.M)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def test_the_image_for_gpus_has_what_the_kernel_is_built_with():
    assert "a C compiler such as gcc" in (ROOT / "docs" / "gpu.md").read_text()
    stages = _stages()
    installed = re.search(r"apt-get install (.*?)&&", stages["cuda"])[1].split()
    assert {"--no-install-recommends", "gcc", "libc6-dev"} <= {*installed}
    assert stages["cuda"].index("apt-get install") < stages["cuda"].index("pip install")
    assert "apt-get" not in stages["cpu"]


def test_what_is_downloaded_or_built_is_kept_in_the_volume():
    final = _stages()["final"]
    volume = re.search(r"^VOLUME (\S+)$", final, flags=re.M)[1]
    places = dict(re.findall(r"(\w+)=(\S+)", re.search(r"^ENV (.*)$", final, flags=re.M)[1]))
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "TRITON_CACHE_DIR"):
        assert Path(places[name]).is_relative_to(volume)
