"""What is kept of a sweep: ledger, tables, front, report."""
