"""The affordance network: picture and text in; contact heatmap, wrist rotation, MANO hand pose and their spread out."""
