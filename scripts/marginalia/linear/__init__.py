"""Linear classifiers of two classes without a bias, where everything is exact: wu2019, section 3.

:mod:`~marginalia.linear.logistic` trains one by gradient descent, :mod:`~marginalia.linear.svm` finds the one
that it converges to, :mod:`~marginalia.linear.points` has their margins and
:mod:`~marginalia.linear.adversarial` their closest adversarial examples. In formulas the class 0 has
y = -1 and the class 1 has y = +1.
"""
