"""The state that the page keeps between requests. No gradio."""
