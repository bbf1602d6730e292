"""How far the estimate of hardware is off."""
