"""A dataset in RSNA's layout: its tables, its patients, its check, its versions, and new studies for it."""
