"""HTML and SVG from values. No gradio."""
