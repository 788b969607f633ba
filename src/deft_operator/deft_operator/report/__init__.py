"""A session, or several beside each other, as one self-contained HTML file."""
