"""Markup comes out as it went in, and around the right words."""
