"""Networks and graphs in the formats of others: reader and writer of each side by side."""
