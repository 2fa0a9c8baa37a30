"""Tests by subject: folders mirror the package's, helpers lie beside those who use them."""
