//! The Wine half: the prefix, loading drivers into it, running programs in it.
