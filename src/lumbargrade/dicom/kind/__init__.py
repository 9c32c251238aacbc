"""What a series is: weighting, fat suppression, Dixon part, contrast agent, localizer, and how sure that is."""
