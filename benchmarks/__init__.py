"""Measurements that are too large or too slow for the tests."""
