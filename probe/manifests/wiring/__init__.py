"""Edits of existing documents: text in, text out, every byte that is not the check kept."""
