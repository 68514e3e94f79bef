"""Encoded pictures, as files and messages hold them: headers are read and checked before a decoder sees a byte."""
