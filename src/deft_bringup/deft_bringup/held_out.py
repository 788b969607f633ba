"""The simulator's test objects as things that synthetic videos must not show."""

from __future__ import annotations

from deft_human_video.synthetic.things import HeldOut


def held_out() -> tuple[HeldOut, ...]:
    """One for each test object of a family that the videos draw."""
    from deft_sim.objects.cups import CUPS
    from deft_sim.objects.drawers import DRAWERS
    from deft_sim.objects.food import LEMONS
    from deft_sim.objects.spoons import SPATULAS, SPOONS
    from deft_sim.objects.vessels import BOWLS

    found = []
    for cup in CUPS["test"]:
        shape = {"height": cup.height, "top_radius": cup.top_radius, "bottom_radius": cup.bottom_radius}
        found.append(HeldOut("mug" if cup.handle else "cup", shape))
    for spoon in SPOONS["test"]:
        shape = {"reach": spoon.reach, "handle_radius": spoon.handle_radius, "head_radius": spoon.head_radius}
        found += [HeldOut(family, shape) for family in ("spoon", "ladle")]
    for spatula in SPATULAS["test"]:
        found.append(HeldOut("spatula", {"reach": spatula.reach, "handle_radius": spatula.handle_radius,
                                         "blade_length": spatula.blade_length}))
    for bowl in BOWLS["test"]:
        found.append(HeldOut("bowl", {"height": bowl.height, "rim_radius": bowl.top_radius, "foot_radius": bowl.bottom_radius}))
    for drawer in DRAWERS["test"]:
        found.append(HeldOut("drawer", {"width": drawer.width, "height": drawer.height, "handle_length": drawer.handle_width,
                                        "handle_radius": drawer.handle_radius}))
    for lemon in LEMONS["test"]:
        found.append(HeldOut("fruit", {"long_radius": lemon.height / 2, "short_radius": lemon.radius}))
        found.append(HeldOut("fruit", {"long_radius": lemon.radius, "short_radius": lemon.height / 2}))
    return tuple(found)
