"""What `pyproject.toml` cannot say: the wheel lays three folders of the clone elsewhere.

`app` becomes the package `lineas_studio`; `assets` and `prompts` become data of `lineas_core`.
"""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["lineas_core", "lineas_core.*"]),
        "lineas_core.data.assets",
        "lineas_core.data.prompts",
        "lineas_studio",
        *(f"lineas_studio.{name}" for name in find_packages("app")),
    ],
    package_dir={
        "lineas_core.data.assets": "assets",
        "lineas_core.data.prompts": "prompts",
        "lineas_studio": "app",
    },
    package_data={
        "lineas_core": ["py.typed"],
        "lineas_core.data.assets": [
            "*.css",
            "scripts/*.js",
            "judges/**",
            "maps/**",
            "models/**",
            "tables/*",
        ],
        "lineas_core.data.prompts": ["**"],
        "lineas_studio": ["py.typed"],
    },
    include_package_data=False,
    extras_require={
        "dev": Path("requirements-dev.txt").read_text(encoding="utf-8").splitlines(),
        "harness": ["lm-eval>=0.4.12"],  # MMLU, TruthfulQA; before: not with transformers 5
        "oracle": ["peft>=0.21,<1", "trl>=1.16,<2"],  # LoFIT-RL and LRTC-RL
        "cluster": ["submitit>=1.5,<2"],  # `lineas evaluate --on`
        "mcp": ["gradio[mcp]>=6.20,<7"],
    },
)
