"""Between DEFT and the drivers of hands and arms: named joints, limits, faults and recovery."""
