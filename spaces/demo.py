"""Entry of a Gradio Space: a public demo with the built-in models, see README.md beside it."""

import os
import sys
from pathlib import Path


def main() -> None:
    """Install the language model, then serve the page under the name of the Space."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the clone
    # Only the proxy of the Space reaches this server, so that its word on who visits counts.
    os.environ.setdefault("FORWARDED_ALLOW_IPS", "*")
    from app.launch import studio
    from lineas_core import UserError
    from lineas_core.models import fetch

    try:
        fetch("smollm2-135m")
    except UserError as error:
        sys.stderr.write(f"The demo has pictures only: {error}\n")
    studio(
        host="0.0.0.0",
        port=int(os.environ.get("GRADIO_SERVER_PORT", "7860")),
        origin=[f"https://{os.environ['SPACE_HOST']}"],
        demo=True,
    )


if __name__ == "__main__":
    main()
