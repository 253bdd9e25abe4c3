"""One batch: staged, validated, compared and published. This room never sees a request."""
