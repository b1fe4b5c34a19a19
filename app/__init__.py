"""The web app: jobs and models behind, Gradio in front."""
