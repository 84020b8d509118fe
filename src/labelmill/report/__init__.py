"""A run as one HTML page: plain values in, markup out. Nothing is fetched by it, and nothing in it runs."""

from labelmill.report.page import render_page
from labelmill.report.values import Report

__all__ = ["Report", "render_page"]
