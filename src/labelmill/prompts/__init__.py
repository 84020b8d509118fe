"""The wording: task cards, DSPy signatures made from them, and requests as DSPy would send them."""
