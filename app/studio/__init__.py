"""What the page keeps between two requests. No gradio."""
