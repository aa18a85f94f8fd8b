"""Tests of markup: tags are kept character by character and stand around the right words."""
