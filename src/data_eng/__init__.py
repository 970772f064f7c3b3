"""Data engineering core of Spymaster: raw MBO records in, one-second surfaces out."""
