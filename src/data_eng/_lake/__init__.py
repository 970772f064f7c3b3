"""Rooms behind the door `data_eng.lake`; nothing outside imports them."""
