"""Training jobs, each run in a separate process. No gradio."""
