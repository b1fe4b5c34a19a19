"""The slider, dragged; and what every frame of the page showed meanwhile."""

import json
from io import BytesIO

from PIL import Image

from app.studio.settings import STRIP
from tests.browser.pages import visible

# Notes in every frame where the thumb is and which picture is shown; "" stands for a blank.
WATCH = """() => {
    const frames = (window.frames_seen = []);
    const slider = document.querySelector('.easel .strength input[type=range]');
    const look = () => {
        const image = document.querySelector('#steered img');
        const seen = image?.complete && image.naturalWidth ? image.src : '';
        const last = frames.at(-1), hand = Number(slider.value), at = performance.now();
        if (last?.seen !== seen || last.hand !== hand) frames.push({ seen, hand, at });
        requestAnimationFrame(look);
    };
    look();
}"""
# Holds an answer of the server back as if the network were slow: the first that has this text,
# and, because answers keep their order, all after it.
SLOW = """
window.slow = {};
const fetched = window.fetch;
window.fetch = async (...request) => {
    const response = await fetched(...request);
    if (!String(request[0]?.url ?? request[0]).includes('/queue/data')) return response;
    const reader = response.body.getReader(), decoder = new TextDecoder();
    const body = new ReadableStream({
        async pull(controller) {
            const { done, value } = await reader.read();
            if (done) return controller.close();
            const text = decoder.decode(value, { stream: true });
            if (window.slow.text && text.includes(window.slow.text)) {
                window.slow.text = '';
                await new Promise((release) => (window.slow.release = release));
            }
            controller.enqueue(value);
        },
    });
    return new Response(body, { headers: response.headers, status: response.status });
};
"""


def drag(page, to, moves=40):
    """Drag the thumb of the slider from its place to a strength, in so many moves."""
    slider = visible(page, "range slider for λ")
    slider.scroll_into_view_if_needed()
    box, start = slider.bounding_box(), float(slider.input_value())
    thumb = 22  # pixels; its middle never reaches the ends of the track

    def place(strength):
        return box["x"] + thumb / 2 + (strength + 1) / 2 * (box["width"] - thumb)

    height = box["y"] + box["height"] / 2
    page.mouse.move(place(start), height)
    page.mouse.down()
    page.mouse.move(place(to), height, steps=moves)
    page.mouse.up()


class Film:
    """What the frames showed: `frames` has a dict for each, with `seen`, `hand` and `at`."""

    def __init__(self, page):
        self._page, self._known = page, {"": None}
        page.wait_for_function("document.querySelector('#steered img')?.naturalWidth")
        page.evaluate(WATCH)

    @property
    def frames(self):
        return self._page.evaluate("window.frames_seen")

    def strength(self, source):
        """The λ of a picture, from its recipe; None for a blank."""
        if source not in self._known:
            with Image.open(BytesIO(self._page.request.get(source).body())) as image:
                maps = json.loads(image.text["lineas"])["maps"]
            self._known[source] = maps[0][1] if maps else 0
        return self._known[source]

    def wait_for(self, strength):
        """Wait until the picture of this strength is shown."""
        for _ in range(3000):
            if self.strength(self.frames[-1]["seen"]) == strength:
                return
            self._page.wait_for_timeout(50)
        raise AssertionError(f"the picture at {strength} never came")

    def late(self):
        """The pictures that belong neither to the place of the thumb when they came, nor near it.

        A frame is drawn a moment after the thumb has moved.
        """
        late, before = [], self.frames[0]
        for frame in self.frames[1:]:
            if frame["seen"] != before["seen"]:
                hands = (before["hand"], frame["hand"])
                fitting = {*hands, *(each for hand in hands for each in nearest(hand))}
                if self.strength(frame["seen"]) not in fitting:
                    late.append((self.strength(frame["seen"]), hands))
            before = frame
        return late


def nearest(strength):
    """The strengths of the strip that are nearest to one; two where it lies in their middle."""
    least = min(abs(each - strength) for each in STRIP)
    return [each for each in STRIP if abs(each - strength) < least + 1e-9]
