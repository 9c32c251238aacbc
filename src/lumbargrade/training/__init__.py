"""Loss, metrics and score; one fold, k folds on the devices there are, and the search over them."""
