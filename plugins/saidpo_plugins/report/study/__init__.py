"""The page of a study: one HTML file, made from ``study.json`` alone.

reading.py     what study.json holds, checked
look.py        how arms are named and told apart, how differences are written
sections/      one file a section: numbers in, sentences, figures and tables out
"""
