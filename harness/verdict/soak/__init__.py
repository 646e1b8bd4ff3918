"""What a soak's observations come to."""

VERSION = "soak/1"
FILE = "soak.json"
