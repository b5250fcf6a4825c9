"""One file a format. ``find`` lists the jobs of a source, in the parent; ``read`` reads one, in a Decoder's child."""
