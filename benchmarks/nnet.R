# R's nnet on the objective of OneHiddenMLP: Rscript nnet.R ROWS.csv OUT.csv H ALPHA SEED MAXIT
#
# ROWS.csv: features, then class codes from 0. nnet minimises the sum of the log-losses
# plus the sum of decay * w^2: n times J, where decay is alpha/2, and 0 for biases.
# Writes: seconds of scaling and fitting, nnet's value / n, then the weights.
suppressPackageStartupMessages(library(nnet))

arguments <- commandArgs(trailingOnly = TRUE)
rows <- as.matrix(read.csv(arguments[1], header = FALSE))
h <- as.integer(arguments[3])
alpha <- as.numeric(arguments[4])
set.seed(as.integer(arguments[5]))
maxit <- as.integer(arguments[6])

x <- unname(rows[, -ncol(rows), drop = FALSE])
codes <- rows[, ncol(rows)]
classes <- max(codes) + 1
p <- ncol(x)
outputs <- if (classes == 2) 1 else classes
y <- if (classes == 2) matrix(codes) else unname(diag(classes)[codes + 1, ])

# Per hidden unit its bias and p weights, then per output its bias and h weights.
decay <- c(rep(c(0, rep(alpha / 2, p)), h), rep(c(0, rep(alpha / 2, h)), outputs))
# The start of OneHiddenMLP: uniform in the range of Glorot and Bengio, for the sigmoid.
range <- c(rep(sqrt(2 / (p + h)), h * (p + 1)),
           rep(sqrt(2 / (h + outputs)), outputs * (h + 1)))
start <- runif(length(decay), -range, range)

seconds <- system.time({
  mean <- colMeans(x)
  unit <- sqrt(colMeans(sweep(x, 2, mean)^2))
  two <- apply(x, 2, function(values) length(unique(values)) == 2)
  unit[two] <- apply(x[, two, drop = FALSE], 2, function(values) diff(range(values)) / 2)
  unit[unit == 0] <- 1
  scaled <- sweep(sweep(x, 2, mean), 2, unit, "/")
  fit <- nnet(scaled, y, size = h, Wts = start, decay = decay, maxit = maxit,
              entropy = outputs == 1, softmax = outputs > 1, abstol = 0,
              MaxNWts = length(decay), trace = FALSE)
})[["elapsed"]]
write(format(c(seconds, fit$value / nrow(x), fit$wts), digits = 17),
      arguments[2], ncolumns = 1)
