"""The bodies of requests: which arguments there are, their types and ranges."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lineas_core.models.sampling import MOST_TOKENS, Sampling
from lineas_core.serving.errors import ApiError
from lineas_core.serving.group import Request
from lineas_core.serving.served import Served

__all__ = ["ChatBody", "CompletionBody", "parse"]

_LARGEST_SEED = 2**53
_LONGEST_ANSWER = 4096  # tokens of a chat's answer if the body does not say it
_MEMBERS = 100  # of an object; more would only make a long list of errors
_SHOWN = 100  # characters of a name


def _unless(*neutral: Any) -> AfterValidator:
    """Refuse an argument, unless it is None or one of the values that ask for nothing."""

    def refuse(value: Any) -> None:
        # Types differ, too: False == 0, but `logprobs` 0 asks for those of the chosen tokens.
        alike = [each for each in neutral if type(each) is type(value) and each == value]
        if value is not None and not alike:
            raise PydanticCustomError("unsupported", "This argument is not supported here")

    return AfterValidator(refuse)


def _few(value: Any) -> Any:
    if isinstance(value, dict) and len(value) > _MEMBERS:
        what, known = (
            "There are {count} members, at most {most} are allowed",
            {"count": len(value)},
        )
        raise PydanticCustomError("too_long", what, {**known, "most": _MEMBERS})
    return value


def _as_list(value: Any) -> Any:
    """Return a text as a list of one; a union of both would report errors of either."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return value
    raise PydanticCustomError("text_type", "A text or a list is needed")


def _as_part(value: Any) -> Any:
    if isinstance(value, str):
        return {"type": "text", "text": value}
    if isinstance(value, dict) and value.get("type", "text") != "text":
        raise PydanticCustomError("unsupported", "Only parts of the type text are supported here")
    return value


_Unsupported = Annotated[Any, _unless()]
_NoPenalty = Annotated[Any, _unless(0, 0.0)]
_NoList = Annotated[Any, _unless([])]
_Strength = Annotated[float, Field(ge=-1, le=1)]
_Stop = Annotated[str, Field(min_length=1, max_length=100)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _check_size(cls, value: Any) -> Any:
        return _few(value)


class StreamOptions(_Strict):
    """What a stream contains besides the text."""

    include_usage: bool = False
    include_obfuscation: bool = False


class _Body(_Strict):
    """The arguments that both endpoints share; None stands for the default everywhere."""

    model: str
    max_tokens: int | None = Field(None, ge=1, le=MOST_TOKENS)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=1, le=100_000)
    n: int | None = Field(None, ge=1, le=128)
    seed: int | None = Field(None, ge=0, le=_LARGEST_SEED)
    stop: (
        Annotated[list[_Stop], Field(max_length=4, fail_fast=True), BeforeValidator(_as_list)]
        | None
    ) = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    lineas: Annotated[dict[str, _Strength], BeforeValidator(_few)] | None = None

    # Arguments that change nothing here.
    user: Any = None
    metadata: Any = None
    store: Any = None
    service_tier: Any = None
    safety_identifier: Any = None
    prompt_cache_key: Any = None
    # Arguments that would change the answer.
    frequency_penalty: _NoPenalty = None
    logit_bias: Annotated[Any, _unless({})] = None
    presence_penalty: _NoPenalty = None

    def sampling(self, longest: int) -> Sampling:
        """Return the settings of generation.

        Args:
            longest: maximum number of tokens if the body has none.
        """
        given: dict[str, Any] = {
            "max_new_tokens": self.limit or longest,
            "temperature": self.temperature,
            "top_k": self.top_k,
            "top_p": self.top_p,
        }
        return Sampling(**{name: each for name, each in given.items() if each is not None})

    @property
    def limit(self) -> int | None:
        """Maximum number of tokens of the continuation; None if the body has none."""
        return self.max_tokens

    def prompts(self, served: Served) -> list[list[int]]:
        """Return the tokens of the prompts."""
        raise NotImplementedError

    def default_limit(self, prompt: int, context: int) -> int:
        """Return the maximum number of tokens for a body that has none."""
        raise NotImplementedError

    def requests(self, served: Served, context: int) -> list[Request]:
        """Return the texts to continue: n for each prompt, with consecutive seeds.

        Args:
            served: the model and its maps.
            context: number of tokens that a prompt and its continuation can have together.

        Raises:
            ApiError: the model or a map is unknown, or a strength out of range.
            UserError: the maps cannot be composed, or the model refuses the messages.
        """
        maps = served.steering(self.model, self.lineas or {})
        first = secrets.randbelow(_LARGEST_SEED) if self.seed is None else self.seed
        return [
            Request(
                tokens=tokens,
                maps=maps,
                sampling=self.sampling(self.default_limit(len(tokens), context)),
                seed=first + number,
                stop=self.stop or [],
            )
            for tokens in self.prompts(served)
            for number in range(self.n or 1)
        ]


class CompletionBody(_Body):
    """The body of `/v1/completions`."""

    prompt: Annotated[
        list[str],
        Field(min_length=1, max_length=128, fail_fast=True),
        BeforeValidator(_as_list),
    ]
    best_of: Literal[1] | None = None
    echo: Annotated[Any, _unless(False)] = None
    logprobs: _Unsupported = None
    suffix: Annotated[Any, _unless("")] = None

    def prompts(self, served: Served) -> list[list[int]]:
        """Return the tokens of the prompts."""
        return [served.encode(text) for text in self.prompt]

    def default_limit(self, prompt: int, context: int) -> int:  # noqa: ARG002
        """Return 16, as OpenAI does."""
        return 16


class TextPart(_Strict):
    """A part of a message."""

    type: Literal["text"]
    text: str


class Message(_Strict):
    """A turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[
        list[Annotated[TextPart, BeforeValidator(_as_part)]],
        Field(max_length=1000, fail_fast=True),
        BeforeValidator(_as_list),
    ]
    # Clients send answers back with all their members.
    annotations: Any = None
    name: Any = None
    refusal: Any = None
    audio: _Unsupported = None
    function_call: _Unsupported = None
    tool_calls: _NoList = None

    @property
    def turn(self) -> dict[str, str]:
        """The turn as chat templates take it."""
        role = "system" if self.role == "developer" else self.role
        return {"role": role, "content": "".join(part.text for part in self.content)}


class ChatBody(_Body):
    """The body of `/v1/chat/completions`."""

    messages: list[Message] = Field(min_length=1, max_length=1000, fail_fast=True)
    max_completion_tokens: int | None = Field(None, ge=1, le=MOST_TOKENS)
    parallel_tool_calls: Any = None
    tool_choice: Any = None
    audio: _Unsupported = None
    functions: _NoList = None
    logprobs: Annotated[Any, _unless(False)] = None
    response_format: Annotated[Any, _unless({"type": "text"})] = None
    tools: _NoList = None
    top_logprobs: Annotated[Any, _unless(0)] = None

    @property
    def limit(self) -> int | None:
        """Maximum number of tokens of the answer; None if the body has none."""
        return self.max_completion_tokens or self.max_tokens

    def prompts(self, served: Served) -> list[list[int]]:
        """Return the tokens of the conversation."""
        return [served.encode_chat([message.turn for message in self.messages])]

    def default_limit(self, prompt: int, context: int) -> int:
        """Return what the context leaves, up to 4,096."""
        return min(max(context - prompt, 1), _LONGEST_ANSWER)


def parse(body: bytes, kind: type[_Body]) -> Any:
    """Read the body of a request.

    Raises:
        ApiError: it is no JSON, or an argument is unknown, missing, of another type or out of its
            range; the message has the path to the argument, such as messages.0.role.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        path = [str(name)[:_SHOWN] for name in first["loc"]]
        message = first["msg"].rstrip(".")
        if first["type"] == "extra_forbidden":
            message = "There is no such argument"
        place = f"{'.'.join(path)}: " if path else "The body cannot be read: "
        param = path[0] if path else None
        raise ApiError(400, f"{place}{message}.", code=first["type"], param=param) from None
