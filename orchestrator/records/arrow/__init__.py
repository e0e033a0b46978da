"""How a ledger lies on the disk: few columns, messages with checksums."""
