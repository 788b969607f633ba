"""From a MANO hand pose to the joints of a robot hand."""
