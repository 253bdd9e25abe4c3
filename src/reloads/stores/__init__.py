"""Object stores: what lies in them, and how they are asked."""
