"""Catalogs of the strings of programs: Android, Apple, Qt and .NET."""
