"""What emitted C is measured against on microcontrollers."""
