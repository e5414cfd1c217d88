"""One folder or file for each page of the window: views of a presenter."""
