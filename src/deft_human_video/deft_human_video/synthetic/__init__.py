"""Videos of a rendered hand that grasps things, in the layout of HOI4D, with the truth beside them."""
