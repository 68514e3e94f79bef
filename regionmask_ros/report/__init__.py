"""The outputs of a run: CSV, video, raw heads, recordings for Rerun, tables, plots and HTML pages."""
