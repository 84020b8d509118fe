"""What is learned from gold labels: plain values, and the fitting of them. Arrays in, values out; no model is asked."""
