"""One batch: staged, compared, validated and published. This room never sees a request."""
