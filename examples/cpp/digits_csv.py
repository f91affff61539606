"""Write scikit-learn's digits as text: 64 pixels of 0 to 16 and the digit, a line each.

python digits_csv.py digits.csv
"""

import sys

from sklearn.datasets import load_digits

digits = load_digits()
with open(sys.argv[1], "w") as file:
    for pixels, digit in zip(digits.data.astype(int), digits.target):
        print(*pixels, digit, sep=",", file=file)
