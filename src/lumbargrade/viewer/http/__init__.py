"""The viewer's HTTP interface."""
