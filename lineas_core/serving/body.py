"""The bodies of requests: which arguments there are, their types and ranges."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from lineas_core.models.sampling import Sampling
from lineas_core.serving.errors import ApiError
from lineas_core.serving.group import Request
from lineas_core.serving.served import Served

__all__ = ["ChatBody", "CompletionBody", "parse"]

_LARGEST_SEED = 2**53
_LONGEST = 4096  # tokens of a continuation, as in `Sampling`


def _refuse(value: Any) -> None:
    if value not in (None, False, 0, "", [], {}, {"type": "text"}):
        raise PydanticCustomError("unsupported", "This argument is not supported here")


_Unsupported = Annotated[Any, AfterValidator(_refuse)]
_Strength = Annotated[float, Field(ge=-1, le=1)]
_Stop = Annotated[str, Field(min_length=1, max_length=100)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class StreamOptions(_Strict):
    """What a stream contains besides the text."""

    include_usage: bool = False
    include_obfuscation: bool = False


class _Body(_Strict):
    """The arguments that both endpoints share; None stands for the default everywhere."""

    model: str
    max_tokens: int | None = Field(None, ge=1, le=_LONGEST)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=1, le=100_000)
    n: int | None = Field(None, ge=1, le=128)
    seed: int | None = Field(None, ge=0, le=_LARGEST_SEED)
    stop: _Stop | Annotated[list[_Stop], Field(max_length=4)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    lineas: dict[str, _Strength] | None = None

    # Arguments that change nothing here.
    user: Any = None
    metadata: Any = None
    store: Any = None
    service_tier: Any = None
    safety_identifier: Any = None
    prompt_cache_key: Any = None
    # Arguments that would change the answer.
    frequency_penalty: _Unsupported = None
    logit_bias: _Unsupported = None
    logprobs: _Unsupported = None
    presence_penalty: _Unsupported = None

    @property
    def stops(self) -> list[str]:
        """The sequences that end the text."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

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
                stop=self.stops,
            )
            for tokens in self.prompts(served)
            for number in range(self.n or 1)
        ]


class CompletionBody(_Body):
    """The body of `/v1/completions`."""

    prompt: str | Annotated[list[str], Field(min_length=1, max_length=128)]
    best_of: _Unsupported = None
    echo: _Unsupported = None
    suffix: _Unsupported = None

    def prompts(self, served: Served) -> list[list[int]]:
        """Return the tokens of the prompts."""
        texts = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        return [served.encode(text) for text in texts]

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
    content: str | list[TextPart]
    name: Any = None
    refusal: Any = None

    @property
    def turn(self) -> dict[str, str]:
        """The turn as chat templates take it."""
        parts = [self.content] if isinstance(self.content, str) else self.content
        texts = [part if isinstance(part, str) else part.text for part in parts]
        role = "system" if self.role == "developer" else self.role
        return {"role": role, "content": "".join(texts)}


class ChatBody(_Body):
    """The body of `/v1/chat/completions`."""

    messages: list[Message] = Field(min_length=1, max_length=1000)
    max_completion_tokens: int | None = Field(None, ge=1, le=_LONGEST)
    parallel_tool_calls: Any = None
    tool_choice: Any = None
    audio: _Unsupported = None
    functions: _Unsupported = None
    response_format: _Unsupported = None
    tools: _Unsupported = None
    top_logprobs: _Unsupported = None

    @property
    def limit(self) -> int | None:
        """Maximum number of tokens of the answer; None if the body has none."""
        return self.max_completion_tokens or self.max_tokens

    def prompts(self, served: Served) -> list[list[int]]:
        """Return the tokens of the conversation."""
        return [served.encode_chat([message.turn for message in self.messages])]

    def default_limit(self, prompt: int, context: int) -> int:
        """Return what the context leaves."""
        return min(max(context - prompt, 1), _LONGEST)


def parse(body: bytes, kind: type[_Body]) -> Any:
    """Read the body of a request.

    Raises:
        ApiError: it is no JSON, or an argument is unknown, missing, of another type or out of its
            range; the message names the argument.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        # A union reports which of its types was tried; only the names of arguments are of use.
        names = [str(name) for name in first["loc"]]
        param = names[0] if names else None
        place = ".".join(names[:2]) if param == "lineas" else param
        message = first["msg"].rstrip(".")
        if first["type"] == "extra_forbidden":
            message = "There is no such argument"
        sentence = f"{place}: {message}." if place else f"The body cannot be read: {message}."
        raise ApiError(400, sentence, code=first["type"], param=param) from None
