"""State and verbs of the pages, without a widget: QtCore only."""
