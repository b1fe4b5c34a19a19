"""Format values as HTML and SVG. No gradio."""
