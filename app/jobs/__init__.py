"""Training jobs, each in a process of its own. No gradio."""
