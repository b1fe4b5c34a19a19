"""Event handlers of uploaded prompts, and of the panel that asks which columns hold what."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from lineas_core import PromptSet, UserError
from lineas_core.prompts.errors import UNCLEAR, listed
from lineas_core.prompts.files import read_file, read_table
from lineas_core.prompts.labels import are_flags, are_scores, label_of, labels_of
from lineas_core.prompts.tables import Columns, Table, guess_columns

from ..events import inform, user_errors
from . import html as learn_html
from .choices import unless_chosen
from .form import FilledForm
from .form_handlers import FILLED, fill_for

__all__ = ["LABELLED", "PAIRS", "ColumnsView", "Upload", "UploadHandlers"]

LABELLED, PAIRS = "labelled", "pairs"
"""The layouts of a table: a column of prompts and one of labels, or a column for each side."""
_MOST_LABELS = 1000  # that the panel offers, so that a column of texts does not flood the page
_EXAMPLE = 60  # characters


class Upload(NamedTuple):
    """An uploaded file that waits for a choice of columns."""

    name: str
    data: bytes


class ColumnsView(NamedTuple):
    """The parts of the panel."""

    frame: Any
    upload: Any
    preview: Any
    layout: Any
    source: Any
    target: Any
    text: Any
    label: Any
    source_label: Any


class _Choice(NamedTuple):
    """The values of the panel."""

    layout: str
    source: str | None
    target: str | None
    text: str | None
    label: str | None
    source_label: str | None


class UploadHandlers:
    """The event handlers of uploaded prompts; they need no models."""

    @unless_chosen(FILLED)
    @user_errors
    def read_set(self, model: str, method: str, budget: str, path: str) -> tuple[Any, ...]:
        """Fill the form with an uploaded file that has both sides.

        If it is not certain which column holds what, the form stays as it is, and the panel asks.

        Returns:
            The fields of `FilledForm`, then those of `ColumnsView`.
        """
        data, name = read_file(Path(path))
        try:
            prompts = _parsed(data, name, Columns())
        except UserError as error:
            if error.code not in UNCLEAR:
                raise
            nothing = [gr.skip()] * len(FilledForm._fields)
            return *nothing, *_ask(Upload(name, data), error)
        return *fill_for(prompts, model, method, budget), *_closed()

    @user_errors
    def choose_layout(self, layout: str, label: str | None) -> tuple[Any, ...]:
        """Show the menus of a layout: those of both sides, or of texts and labels."""
        pairs = layout == PAIRS
        labels = gr.update(visible=not pairs and bool(label))
        return *[gr.update(visible=pairs)] * 2, *[gr.update(visible=not pairs)] * 2, labels

    @user_errors
    def choose_texts(self, upload: Upload | None, text: str | None, label: str | None) -> Any:
        """Show the first prompt of each label, by the chosen column; a chosen label stays."""
        if upload is None or not label:
            return gr.skip()
        choices, _ = _source_labels(read_table(upload.data, upload.name), text or "", label)
        return gr.Dropdown(choices)

    @user_errors
    def choose_labels(self, upload: Upload | None, text: str | None, label: str | None) -> Any:
        """Offer the labels of the chosen column, each with its first prompt."""
        if upload is None or not label:
            return _labels_menu([], "")
        return _labels_menu(
            *_source_labels(read_table(upload.data, upload.name), text or "", label)
        )

    @unless_chosen(FILLED)
    @user_errors
    def use(
        self, model: str, method: str, budget: str, upload: Upload | None, *values: Any
    ) -> tuple[Any, ...]:
        """Fill the form with the uploaded file, read by the chosen columns.

        Args:
            model: name of the model.
            method: a key of `METHODS`.
            budget: a key of `BUDGETS`.
            upload: the file.
            *values: the values of the panel from `layout` on.

        Returns:
            The fields of `FilledForm`, then those of `ColumnsView`.
        """
        if upload is None:
            raise UserError("E_FILE", "there is no file", remedy="Upload it again.")
        prompts = _parsed(upload.data, upload.name, _columns(_Choice(*values)))
        return *fill_for(prompts, model, method, budget), *_closed()

    def cancel(self) -> ColumnsView:
        """Close the panel; the form stays as it is."""
        return _closed()


def _parsed(data: bytes, name: str, columns: Columns) -> PromptSet:
    prompts = PromptSet.parse(data, name, columns=columns)
    inform(prompts.dropped)
    return prompts


def _columns(choice: _Choice) -> Columns:
    """Return the chosen columns; those of the other layout are ignored."""
    needed = ("source", "target") if choice.layout == PAIRS else ("text", "label", "source_label")
    chosen = {name: getattr(choice, name) or "" for name in needed}
    for name, value in chosen.items():
        if not value:
            what = f"nothing is chosen for the {name.replace('source_label', 'source label')}"
            raise UserError("E_COLUMN", what, remedy="Choose one in the panel.")
    if len({*chosen.values()}) < len(chosen) and choice.layout == PAIRS:
        what = f"“{chosen['source']}” is chosen for both sides"
        raise UserError("E_COLUMN", what, remedy="Choose another column for one of them.")
    return Columns(**chosen)


def _ask(upload: Upload, error: UserError) -> ColumnsView:
    """Open the panel for a file, with what is certain already chosen."""
    table = read_table(upload.data, upload.name)
    guess, names = guess_columns(table, Columns()), [*table.columns]
    flags = [name for name in names if are_flags(table.values(name))]
    labelled = bool(guess.text or guess.label or flags)
    label = guess.label or (flags[0] if len(flags) == 1 else "")
    first, second = names if len(names) == 2 else (None, None)
    return ColumnsView(
        frame=gr.Column(visible=True),
        upload=upload,
        preview=learn_html.columns(upload.name, table, _reason(error, table, label)),
        layout=LABELLED if labelled else PAIRS,
        source=gr.Dropdown(names, value=first, visible=not labelled),
        target=gr.Dropdown(names, value=second, visible=not labelled),
        text=gr.Dropdown(names, value=guess.text or None, visible=labelled),
        label=gr.Dropdown(names, value=label or None, visible=labelled),
        source_label=_labels_menu(*_source_labels(table, guess.text, label)),
    )


def _reason(error: UserError, table: Table, label: str) -> str:
    if error.code == "E_LABELS":
        found = listed(labels_of(table.values(label)))
        return f"The labels in {label} do not say which one is the source: {found}."
    return "The column names do not say which column holds what."


def _closed() -> ColumnsView:
    nothing = [gr.skip()] * (len(ColumnsView._fields) - 2)
    return ColumnsView(gr.Column(visible=False), None, *nothing)


def _labels_menu(choices: list[tuple[str, str]], note: str) -> gr.Dropdown:
    return gr.Dropdown(choices, value=None, visible=bool(choices), info=note)


def _source_labels(table: Table, text: str, label: str) -> tuple[list[tuple[str, str]], str]:
    """Return the labels of a column with an example each, and a note if there are too many."""
    values = table.values(label)
    names = labels_of(values)
    first = {name: "" for name in names[:_MOST_LABELS]}
    for record in reversed(table.records):
        name = label_of(record.values.get(label), scores=are_scores(values))
        if name in first:
            first[name] = str(record.values.get(text, ""))
    note = (
        f"The first {_MOST_LABELS:,} of {len(names):,} labels." if len(names) > len(first) else ""
    )
    return [(_with_example(name, example), name) for name, example in first.items()], note


def _with_example(label: str, example: str) -> str:
    words = " ".join(example.split())
    short = words if len(words) <= _EXAMPLE else f"{words[:_EXAMPLE]} …"
    return f"{label}, such as “{short}”" if short else label
