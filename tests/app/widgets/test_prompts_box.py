from app.studio.studio import Studio
from app.ui import build_demo
from app.widgets.prompts_box import read_prompts


def test_a_file_of_prompts_fills_the_box(tmp_path):
    file = tmp_path / "openings.csv"
    file.write_text('text\n"One\nline"\nTwo\n')
    assert read_prompts(str(file)) == "One line\nTwo"


def test_boxes_of_the_same_label_can_be_told_apart_by_the_element_around_them(tmp_path):
    """A page that reloads by itself keeps what was typed by these two, see `keep_typed.js`."""
    config = build_demo(Studio(tmp_path)).config
    components = {each["id"]: each for each in config["components"]}
    names = []

    def walk(node, place):
        component = components.get(node["id"], {"type": "", "props": {}})
        props = component["props"]
        place = props.get("elem_id") or place
        if component["type"] == "textbox" and props["visible"] and props.get("max_lines") != 1:
            names.append((place, props["label"]))
        for child in node.get("children") or ():
            walk(child, place)

    walk(config["layout"], "")
    prompts = [name for name in names if name[1] == "Prompts"]
    assert len(prompts) == len({*prompts}) == 3
    assert len(names) == len({*names})
