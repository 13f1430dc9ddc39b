"""Quote and clear: offers, prices and what trades at which price.

Reads a sizing, offers and prices; returns quotes, claims and refusals. It never binds a device:
placement says what may be sold, and only placement places.
"""
