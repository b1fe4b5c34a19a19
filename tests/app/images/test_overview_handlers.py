"""The overview of all concepts, without a page."""

from types import SimpleNamespace

from app.images.overview_handlers import OverviewHandlers
from tests.app.fakes import image_studio


def test_the_overview_starts_with_the_original_and_takes_what_is_clicked():
    handlers = OverviewHandlers(image_studio())
    *_, (labelled, told, painted) = handlers.overview("robot", "A valley", 7, -1)
    assert [image.getpixel((0, 0)) for image, _ in labelled] == [100, 0, 0]
    assert painted["maps"] == ["", "robot", "mine"]
    assert "seed 7" in told
    # What was painted with, whatever stands on the page by now.
    menu, *settings = handlers.take(painted, SimpleNamespace(index=2))
    assert menu.value == "mine"
    assert "mine" in [map_id for _, map_id in menu.choices]
    assert settings == [-1, "A valley", 7, ["mine", "A valley"]]
    assert handlers.take(painted, SimpleNamespace(index=0))[1:4] == (0, "A valley", 7)
