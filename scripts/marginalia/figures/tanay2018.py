"""The figures of tanay2018 (Tanay and Griffin 2018, "A New Angle on L2 Regularization", an interactive
article).

They have no numbers there; the names follow its sections. Those of the toy problem and of loss functions take
no measurements. The others take tables of support vector machines (:mod:`marginalia.linear.pairs`), a row a
pair of classes and level of regularization:

- ``levels``: pair, log10_lambda, theta_rad (the tilting angle), offset, bias_distance, inverse_w_norm, d_adv
  (the adversarial distance), half_centroid_distance, err_train_percent, err_test_percent, test_images,
  duality_gap, on_margin, at_cost,
- ``normals``: pair, log10_lambda, normal (the unit normal vector),
- ``images``: the training images: image, label, class_name, pixels.

Those of LeNet are described in :mod:`marginalia.figures.lenet` and :mod:`marginalia.figures.lenet_margins`.

Distances are in pixel units with pixels in [0, 1]. Each figure returns itself and the table of what it plots.
"""

from marginalia.figures import lenet, lenet_margins, svm, svm_curves, tilting

adversarial_prediction = lenet.prediction
toy_problem = tilting.toy_problem
projected_image = tilting.projected_image
mirror_image = tilting.mirror_image
mirror_angle = tilting.mirror_angle
noisy_point = tilting.noisy_point
losses = tilting.losses
scaled_losses = tilting.scaled_losses
risk_distributions = svm.risk_distributions
tilting_plane = svm.tilting_plane
svm_distances = svm.distances
svm_projection = svm.projection
svm_mirrors = svm.mirrors
svm_pairs = svm_curves.pairs
svm_published = svm_curves.published_curves
lenet_errors = lenet.errors
lenet_weights = lenet.weights
lenet_adversarial = lenet.adversarial
lenet_margins = lenet_margins.margins
