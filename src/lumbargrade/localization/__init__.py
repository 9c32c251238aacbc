"""Where the places to grade are: what the locator sees, put together by what is known of spines."""
