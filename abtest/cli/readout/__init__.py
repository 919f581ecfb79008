"""A readout on the terminal, as Markdown, as HTML and as JSON."""
