"""Before a test imports torch: its threads wait without spinning, as in jobs and on the command line."""

from marginalia.devices import share_processors

share_processors()
