"""The report of a run or a study: one HTML file that needs nothing else, made from its folder alone.

reading.py     what the run directory holds, without tokens and log-probabilities
text.py        model text made visible and harmless
page.py        sections and figures, and the page around them
sections/      one file a section: numbers in, sentences, figures and tables out
study/         the same for a study
page/          template, style and script of the page
"""
