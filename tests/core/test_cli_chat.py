"""`lineas chat` as a real process: messages on stdin, answers on stdout."""

import io
import os
import subprocess
import sys
from contextlib import closing

import pytest
from typer.testing import CliRunner

from lineas_core import LearnConfig, UserError, cli, learn, load_maps, save_maps, steer
from lineas_core.cli.chat import Talk
from lineas_core.models import Sampling
from tests.fakes import (
    ask_for_a_petabyte,
    save_model,
    tiny_chat_model,
    tiny_image_model,
    tiny_language_model,
)

try:
    import pty
except ImportError:  # on Windows
    pty = None

SHORT = Sampling(max_new_tokens=6)


@pytest.fixture(scope="module")
def model():
    return tiny_chat_model()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, model):
    """A folder with a model that chats and a map of it."""
    root = tmp_path_factory.mktemp("chat")
    model.name = save_model(model, root / "model")
    sides = (["a b", "b c"], ["y z", "x y"])
    maps = learn(model, *sides, config=LearnConfig(iterations=1, learning_rate=0.5))
    save_maps(maps, root / "map")
    return root


def _command(*options):
    return ["chat", "--max-new-tokens", "6", "--seed", "3", *map(str, options)]


def _chat(lines, *options):
    """Pipe lines into the command, in this process."""
    data = lines if isinstance(lines, bytes) else "".join(f"{line}\n" for line in lines)
    return CliRunner().invoke(cli.app, _command(*options), input=data)


def _process(*options, **streams):
    return subprocess.Popen([sys.executable, "-m", "lineas_core", *_command(*options)], **streams)


def _answers(model, maps, messages, strengths, system=""):
    """What the library says to messages at strengths, in the form of the command."""
    talk = [{"role": "system", "content": system}] if system else []
    printed = ""
    for turn, (message, strength) in enumerate(zip(messages, strengths, strict=True)):
        talk.append({"role": "user", "content": message})
        with steer(model.network, maps, strength):
            (answer,) = model.generate([talk], seeds=[3 + turn], sampling=SHORT)
        talk.append({"role": "assistant", "content": answer})
        printed += f"{answer.lstrip()}\n"
    return printed


def test_piped_messages_are_answered_as_by_the_library_and_the_strength_moves(model, folder):
    lines = "hello\n/strength 0.5\n\nand you?\n/reset\nhello\n/quit\nunread\n"
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    options = ("--map", f"{folder / 'map'}:-1", "--system", "Be brief.")
    with _process(*options, **pipes) as process:
        answered, told = (each.decode() for each in process.communicate(lines.encode()))
    assert process.returncode == 0, told
    maps, system = load_maps(folder / "map"), "Be brief."
    first = _answers(model, maps, ["hello", "and you?"], [-1.0, 0.5], system)
    assert answered == first + _answers(model, maps, ["hello"], [0.5], system)
    assert told.endswith("\nλ = 0.5\nthe conversation was cleared\n")  # after loading


def test_the_end_of_the_input_ends_an_unsteered_chat(model, folder):
    done = _chat(["hello"], "--model", folder / "model")
    assert done.exit_code == 0
    assert "note" not in done.stderr
    assert done.stdout == _answers(model, load_maps(folder / "map"), ["hello"], [0.0])


def test_the_oldest_messages_are_left_out_where_they_no_longer_fit(folder):
    done = _chat(["x" * 300, "y" * 300], "--model", folder / "model")
    assert done.exit_code == 0
    assert "note: the 2 oldest messages no longer fit and are left out\n" in done.stderr


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/strength much", "strength is 'much'. Give a number"),
        ("/strength nan", "strength is 'nan'. Give a number"),
        ("/strength 5", "strength is '5'. Give a number from -1 to 1"),
        ("/strength", "strength is ''. Give a number"),
        ("/strength 1 1", "or one for each map"),
        ("/jump", "there is no command '/jump'. Write /strength"),
        ("x" * 600, "only 506 fit beside the answer. Shorten it"),
        (b"\xff\n", "the input is not a text"),
    ],
)
def test_a_wrong_line_of_a_script_is_one_sentence(folder, line, sentence):
    done = _chat(line if isinstance(line, bytes) else [line], "--map", folder / "map")
    assert isinstance(done.exception, UserError)
    assert sentence in str(done.exception)


def test_a_message_that_is_no_text_is_one_sentence_where_stdin_takes_any_bytes(
    folder, monkeypatch, capsys
):
    stdin = io.TextIOWrapper(io.BytesIO(b"caf\xe9 au lait?\n"), "utf-8", "surrogateescape")
    monkeypatch.setattr("sys.stdin", stdin)  # as Python's is where LANG is C.UTF-8
    monkeypatch.setattr("sys.argv", ["lineas_core", *_command("--model", folder / "model")])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1
    told = "error: the input is not a text. Write messages in the encoding of the terminal.\n"
    assert capsys.readouterr().err.endswith(told)


def test_after_an_error_the_conversation_is_as_before(model, folder, monkeypatch):
    talk = Talk(model, [load_maps(folder / "map")], [1.0], "", 3, SHORT)
    with closing(talk.answer("hello")) as stream:
        next(stream)  # and Ctrl-C
    before = [*talk.messages]
    assert [message["role"] for message in before] == ["user", "assistant"]
    monkeypatch.setattr(model.network, "forward", ask_for_a_petabyte)
    with pytest.raises(RuntimeError):
        [*talk.answer("and you?")]
    assert talk.messages == before


def test_an_answer_that_cannot_fit_is_told(folder):
    done = _chat(["hello"], "--model", folder / "model", "--max-new-tokens", 4000)
    assert "only 0 fit beside the answer" in str(done.exception)
    assert "ask for a shorter answer" in str(done.exception)


def test_without_a_map_there_is_no_strength(folder):
    done = _chat(["/strength 1"], "--model", folder / "model")
    assert "no map is loaded. Start again with --map" in str(done.exception)


def test_models_that_do_not_chat_are_refused_before_the_first_message(tmp_path):
    for model, sentence in (
        (tiny_language_model(), "has no chat template"),
        (tiny_image_model(), "paints pictures"),
    ):
        done = _chat([], "--model", save_model(model, tmp_path / model.kind))
        assert isinstance(done.exception, UserError)
        assert sentence in str(done.exception)


class _Terminal:
    """What a program writes to a pseudo-terminal; one read may give several lines of it."""

    def __init__(self, number):
        self._number, self._unread = number, b""

    def read_until(self, awaited):
        while awaited not in self._unread:
            self._unread += os.read(self._number, 4096)
        self._unread = self._unread.partition(awaited)[2]


@pytest.mark.skipif(pty is None, reason="this system has no pseudo-terminals")
def test_a_terminal_has_a_prompt_and_goes_on_after_an_error(folder):
    ours, theirs = pty.openpty()
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    with _process("--model", folder / "model", **streams) as process:
        os.close(theirs)
        terminal = _Terminal(ours)
        for line, awaited in ((b"/jump", b"/quit"), (b"hello", b"there is no command '/jump'")):
            terminal.read_until(awaited)
            os.write(ours, line + b"\n")
        terminal.read_until(b"hello\r\n")
        terminal.read_until(b"> ")
        os.write(ours, b"\x04")  # Ctrl-D
        process.wait()
    os.close(ours)
    assert process.returncode == 0
