from app.widgets.prompts_box import read_prompts


def test_a_file_of_prompts_fills_the_box(tmp_path):
    file = tmp_path / "openings.csv"
    file.write_text('text\n"One\nline"\nTwo\n')
    assert read_prompts(str(file)) == "One line\nTwo"
