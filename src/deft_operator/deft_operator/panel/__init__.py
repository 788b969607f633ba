"""The operator's panel as a Qt widget: an rqt plugin, and `deft panel` where there is no rqt."""
