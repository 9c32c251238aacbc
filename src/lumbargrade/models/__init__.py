"""The networks, with everything about their input that training and serving must agree on."""
