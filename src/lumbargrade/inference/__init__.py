"""From a study's files to its grades: the one road of training and serving."""
