cdef double ENOUGH = 1e-4               # of the decrease that the first slope promises (c1)
cdef double FLAT = 0.9                  # of the first slope may be left (c2)
cdef double KEEP = 2.220446049250313e-16  # s*y is to be above this share of the decrease that was promised: 2**-52


cdef struct Point:
    double t       # on the line w + t*d
    double loss    # the mean loss
    double f       # the objective
    double slope   # of the objective, along d


cdef inline double clamped(double u, double low, double high, double otherwise) noexcept nogil:
    """u, or the nearer end of the interval; `otherwise` for a NaN."""
    return low if u < low else high if u > high else u if u == u else otherwise


cdef double lowest_of_cubic(const Point *one, const Point *other) noexcept nogil:
    """Where the cubic through two points with their slopes is lowest, in steps from one to the other; NaN: nowhere."""
    cdef double h = other.t - one.t, a = one.slope * h, b = other.slope * h
    cdef double c = (a + b) - 3.0 * (other.f - one.f), radicand = c * c - a * b, root, divisor
    if not radicand >= 0.0:
        return NAN
    root = sqrt(radicand)
    divisor = (b - a) + 2.0 * root
    return 1.0 - ((b + root) - c) / divisor if divisor > 0.0 else NAN


cdef inline bint is_finite(const Point *point) noexcept nogil:
    return fabs(point.f) <= DBL_MAX and fabs(point.slope) <= DBL_MAX


cdef class LBFGS(Method):
    """L-BFGS. slots: the changes s of the weights, then the changes y of the gradient (2*memory, n_parameters);
    scalars: how many pairs there are, which is the newest, gamma, and every s*y (3 + memory,).

    The gradient where an iteration ends is that where the next one begins: only the first one of a run evaluates it.
    """

    cdef Workspace room
    cdef bp_pairs pairs
    cdef Point here        # the last evaluation; that at w between iterations
    cdef bint known        # whether there was one
    cdef double tolerance
    cdef double l2
    cdef Py_ssize_t most   # trials of a search
    cdef double *start     # where the line starts: the weights, and the gradient
    cdef double *start_g
    cdef double *low_g     # the gradient at the lowest trial
    cdef double *d
    cdef double *weights   # the parameters with 0.0 for biases
    cdef double *alphas

    def __cinit__(self, *arguments):
        cdef Py_ssize_t n = self.shared.n_parameters, memory
        must_be("the settings", "lbfgs", 4, self.settings.shape[0])
        memory = <Py_ssize_t>self.settings[0]
        must_be("the slots", "lbfgs", 2 * memory * n, self.slots.shape[0] * self.slots.shape[1])
        must_be("the scalars", "lbfgs", 3 + memory, self.scalars.shape[0])
        self.tolerance, self.l2, self.most = self.settings[1], self.settings[2], <Py_ssize_t>self.settings[3]
        self.room = Workspace(5 * aligned(n) + aligned(memory))
        self.start, self.start_g, self.low_g = self.room.take(n), self.room.take(n), self.room.take(n)
        self.d, self.weights, self.alphas = self.room.take(n), self.room.take(n), self.room.take(memory)
        self.pairs.n, self.pairs.memory = n, memory
        self.pairs.S, self.pairs.Y, self.pairs.sy = &self.slots[0, 0], &self.slots[memory, 0], &self.scalars[3]
        self.known = False

    cdef int objective(self) except -1 nogil:
        """The mean loss at w, the objective, and the objective's gradient; biases have no penalty."""
        cdef Shared *shared = &self.shared
        cdef Py_ssize_t l, k = 0, n_weights
        cdef bp_layer *layer
        cdef double *g = shared.g
        self.evaluate()
        self.here.loss = self.here.f = self.total
        for l in range(shared.n_layers):
            layer = &shared.blocks.layers[l]
            n_weights = layer.n_in * layer.n
            if not self.train_biases:
                memset(g + k + n_weights, 0, layer.n * sizeof(double))
            if self.l2 > 0.0:
                memcpy(self.weights + k, layer.W, n_weights * sizeof(double))
                memset(self.weights + k + n_weights, 0, layer.n * sizeof(double))
                kernel.axpy(n_weights, g + k, self.l2, layer.W, g + k)
            k += n_weights + layer.n
        if self.l2 > 0.0:
            self.here.f = self.total + (0.5 * self.l2) * kernel.dot(k, self.weights, self.weights)
        return 0

    cdef void move(self, double t) noexcept nogil:
        """w = start + t*d, where it may move."""
        cdef Shared *shared = &self.shared
        cdef Py_ssize_t l, k = 0
        cdef bp_layer *layer
        kernel.axpy(shared.n_parameters, self.start, t, self.d, shared.w)
        if not self.train_biases:
            for l in range(shared.n_layers):
                layer = &shared.blocks.layers[l]
                k += layer.n_in * layer.n
                memcpy(shared.w + k, self.start + k, layer.n * sizeof(double))
                k += layer.n

    cdef int trial(self, double t) except -1 nogil:
        """Evaluate the objective at start + t*d, with its slope; what is not finite is not finite in the result."""
        cdef Shared *shared = &self.shared
        self.move(t)
        self.here = Point(t, NAN, NAN, NAN)
        if kernel.first_not_finite(shared.n_parameters, shared.w) < 0:
            self.objective()
            self.here.slope = kernel.dot(shared.n_parameters, shared.g, self.d)
        return 0

    cdef int line_search(self, const Point *start, double t) except -1 nogil:
        """Move to a point with the strong Wolfe conditions; after `most` trials to the best so far, maybe the start."""
        cdef Shared *shared = &self.shared
        cdef Py_ssize_t size = shared.n_parameters * sizeof(double), _trial
        cdef Point low = start[0], high = start[0], before
        cdef bint bounded = False, onward
        cdef double last = INFINITY, last_but_one = INFINITY, width, u
        for _trial in range(self.most):
            self.trial(t)
            before = low
            if not (is_finite(&self.here) and self.here.f <= start.f + (ENOUGH * t) * start.slope
                    and self.here.f < low.f):
                high, bounded = self.here, True
            elif fabs(self.here.slope) <= -(FLAT * start.slope):
                return 0
            else:
                onward = not bounded or high.t > low.t
                if (self.here.slope > 0.0) == onward:
                    high, bounded = low, True
                low = self.here
                memcpy(self.low_g, shared.g, size)
            if not bounded:
                t = before.t + lowest_of_cubic(&before, &low) * (low.t - before.t)
                t = clamped(t, 2.0 * low.t, 10.0 * low.t, 10.0 * low.t)
            else:
                if is_finite(&high):
                    u = clamped(lowest_of_cubic(&low, &high), 0.1, 0.9, 0.5)
                else:
                    u = 0.5 if low.t > 0.0 else 0.1
                width = fabs(high.t - low.t)
                if width > 0.66 * last_but_one:
                    u = 0.5
                last, last_but_one = width, last
                t = low.t + u * (high.t - low.t)
                if width <= 0.01 * low.t or t == low.t or t == high.t:
                    break  # what is left is an edge
        self.here = low
        if low.t > 0.0:
            self.move(low.t)
            memcpy(shared.g, self.low_g, size)
        else:
            memcpy(shared.w, self.start, size)
            memcpy(shared.g, self.start_g, size)
        return 0

    cdef int iterate(self, double *loss) except -1 nogil:
        cdef Shared *shared = &self.shared
        cdef bp_pairs *pairs = &self.pairs
        cdef Py_ssize_t n = shared.n_parameters, at
        cdef double steepest, t, slope, sy, yy
        cdef double *s
        cdef double *y
        cdef Point start
        if not self.known:
            self.objective()
            self.known = True
            loss[0] = self.here.loss
            if not fabs(loss[0]) <= DBL_MAX:
                return 0
            if not fabs(self.here.f) <= DBL_MAX or kernel.first_not_finite(n, shared.g) >= 0:
                self.reason = "overflow"
                return 0
        loss[0] = self.here.loss
        steepest = kernel.max_abs(n, shared.g)
        if steepest <= self.tolerance:
            self.reason = "gradient"
            return 0
        memcpy(self.start, shared.w, n * sizeof(double))
        memcpy(self.start_g, shared.g, n * sizeof(double))
        start = self.here
        start.t = 0.0
        while True:
            pairs.held, pairs.newest = <Py_ssize_t>self.scalars[0], <Py_ssize_t>self.scalars[1]
            pairs.gamma = self.scalars[2]
            if pairs.held > 0:
                slope, t = kernel.two_loops(pairs, self.start_g, self.d, self.alphas), 1.0
            else:
                t = 1.0 / sqrt(kernel.divide(n, self.start_g, -steepest, self.d))
                slope = kernel.dot(n, self.start_g, self.d)
            self.look((4.0 * pairs.held + 12.0) * n)
            if fabs(slope) <= DBL_MAX and slope < 0.0:
                start.slope = slope
                self.line_search(&start, t)
                if self.here.t > 0.0:
                    break
            self.scalars[0] = 0.0
            if pairs.held == 0:
                self.reason = "line_search"
                return 0
        s, y = self.d, self.low_g
        kernel.differences(n, shared.w, self.start, s)
        kernel.differences(n, shared.g, self.start_g, y)
        sy, yy = kernel.dot(n, s, y), kernel.dot(n, y, y)
        if KEEP * -(self.here.t * slope) < sy <= DBL_MAX and 0.0 < yy <= DBL_MAX:
            at = (pairs.newest + 1) % pairs.memory
            memcpy(&self.slots[at, 0], s, n * sizeof(double))
            memcpy(&self.slots[pairs.memory + at, 0], y, n * sizeof(double))
            self.scalars[0], self.scalars[1] = min(pairs.held + 1, pairs.memory), at
            self.scalars[2], self.scalars[3 + at] = sy / yy, sy
        return 0
