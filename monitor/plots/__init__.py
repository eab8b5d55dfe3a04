"""Charts of trends: rows go in, a picture comes out that can be read by eye, by screen reader and as a table.

They are written as SVG by hand, from a few shapes. Drawn by Vega (as monitor/charts.py does for messages) each takes a
quarter of a second, and a page has several, for wide and narrow screens; docs/trends.md has the measurements.
"""
