"""Local web pages: a small server for one user on this computer, and the files of the pages."""
