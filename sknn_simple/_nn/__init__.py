"""The mathematics: networks, losses and their derivatives over blocks of rows."""
