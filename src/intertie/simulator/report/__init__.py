"""What `intertie simulate --out` leaves in a folder: tables, a scoreboard, and one page."""
