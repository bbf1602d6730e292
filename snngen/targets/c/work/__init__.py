"""How often each piece of the runtime's code runs, from a network and what its layers send."""
