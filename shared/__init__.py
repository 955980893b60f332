"""The foundation that the sub-projects stand on; it imports none of them."""
