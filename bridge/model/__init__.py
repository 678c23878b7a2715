"""What things are: frozen values and closed enums. No I/O, no clock, no randomness, no policy decisions."""
