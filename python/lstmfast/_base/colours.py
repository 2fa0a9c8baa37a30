"""Colours of all pictures: Okabe and Ito's, which people who are colour-blind can tell apart, and a grey."""

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#8c8c8c"
