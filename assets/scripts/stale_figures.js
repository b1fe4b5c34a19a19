// Another picture is shown: until it is measured, the figures of the one before are dots.
(figures) => figures?.replace(/<b>[^<]*<\/b>/g, "<b>…</b>") ?? figures
