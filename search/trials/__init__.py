"""One evaluation, from begin to end."""
