# L-BFGS with a line search for the strong Wolfe conditions (Nocedal and Wright 2006, chapters 3 and 7).

cdef double SUFFICIENT_DECREASE = 1e-4  # c1: a step must lower f by this share of what the first slope promises
cdef double CURVATURE = 0.9             # c2: share of the first slope that may be left at the end of a step
cdef double LEAST_CURVATURE = 2.220446049250313e-16  # 2^-52: least share of the promised decrease in a pair's s*y


cdef struct Point:  # on the line w + t*d
    double t
    double loss     # the mean loss
    double f        # the objective: the mean loss and the L2 penalty
    double slope    # of the objective, along d


cdef class LBFGS(Method):
    """L-BFGS. settings: memory, tolerance, l2, most trials of a line search.

    slots (2*memory, n_parameters): changes s of the parameters, then changes y of the gradient. scalars (3 + memory,):
    number of pairs held, index of the newest, gamma, and s*y of every pair. The gradient at the end of an iteration is
    that at the beginning of the next: only the first iteration of a run evaluates it.
    """

    cdef Workspace room
    cdef bp_pairs pairs
    cdef Point here        # the last evaluation; between iterations that at w
    cdef bint known        # here is set
    cdef double tolerance  # of the largest |g|
    cdef double l2
    cdef Py_ssize_t most   # trials of a line search
    cdef double *start     # (n_parameters,): w where the line begins
    cdef double *start_g   # (n_parameters,): the gradient there
    cdef double *low_g     # (n_parameters,): the gradient at the best trial
    cdef double *d         # (n_parameters,): the direction of the line
    cdef double *weights   # (n_parameters,): w with 0.0 for biases
    cdef double *alphas    # (memory,): scratch of two_loops

    def __cinit__(self, *arguments):
        cdef Py_ssize_t n = self.shared.sizes.n_parameters, memory
        cdef const double *settings = self.shared.optimizer.settings
        self.needs("lbfgs")
        self.sums.make_room()
        memory = <Py_ssize_t>settings[0]
        self.tolerance, self.l2, self.most = settings[1], settings[2], <Py_ssize_t>settings[3]
        self.room = Workspace(5 * aligned(n) + aligned(memory))
        self.start, self.start_g, self.low_g = self.room.take(n), self.room.take(n), self.room.take(n)
        self.d, self.weights, self.alphas = self.room.take(n), self.room.take(n), self.room.take(memory)
        self.pairs.n, self.pairs.memory = n, memory
        self.pairs.S = self.shared.optimizer.slots
        self.pairs.Y, self.pairs.sy = self.pairs.S + memory * n, self.shared.optimizer.scalars + 3
        self.known = False

    cdef int iterate(self, double *loss) except -1 nogil:
        return lbfgs_iteration(self, loss)


cdef int objective(LBFGS method) except -1 nogil:
    """Mean loss and objective at w into `here`, the objective's gradient into g; biases have no penalty."""
    cdef Shared *shared = method.shared
    cdef Py_ssize_t l, k = 0, n_weights
    cdef bp_layer *layer
    cdef double *g = shared.sums.g
    method.evaluate()
    method.here.loss = method.here.f = method.sums.total
    for l in range(shared.sizes.n_layers):
        layer = &shared.threads.layers[l]
        n_weights = layer.n_in * layer.n
        if not shared.optimizer.train_biases:
            memset(g + k + n_weights, 0, layer.n * sizeof(double))
        if method.l2 > 0.0:
            memcpy(method.weights + k, layer.W, n_weights * sizeof(double))
            memset(method.weights + k + n_weights, 0, layer.n * sizeof(double))
            kernel.axpy(n_weights, g + k, method.l2, layer.W, g + k)
        k += n_weights + layer.n
    if method.l2 > 0.0:
        method.here.f = method.sums.total + (0.5 * method.l2) * kernel.dot(k, method.weights, method.weights)
    return 0


cdef void move(LBFGS method, double t) noexcept nogil:
    """w = start + t*d; biases that are not trained stay as they are."""
    cdef Shared *shared = method.shared
    cdef double *w = shared.optimizer.w
    cdef Py_ssize_t l, k = 0
    cdef bp_layer *layer
    kernel.axpy(shared.sizes.n_parameters, method.start, t, method.d, w)
    if not shared.optimizer.train_biases:
        for l in range(shared.sizes.n_layers):
            layer = &shared.threads.layers[l]
            k += layer.n_in * layer.n
            memcpy(w + k, method.start + k, layer.n * sizeof(double))
            k += layer.n


cdef int trial(LBFGS method, double t) except -1 nogil:
    """Evaluate the objective and its slope at start + t*d into `here`; NaN if a parameter is not finite."""
    cdef Shared *shared = method.shared
    cdef Py_ssize_t n = shared.sizes.n_parameters
    move(method, t)
    method.here = Point(t, NAN, NAN, NAN)
    if kernel.first_not_finite(n, shared.optimizer.w) < 0:
        objective(method)
        method.here.slope = kernel.dot(n, shared.sums.g, method.d)
    return 0


cdef inline double clamped(double u, double low, double high, double otherwise) noexcept nogil:
    """u, or the nearer end of the interval; `otherwise` for a NaN."""
    return low if u < low else high if u > high else u if u == u else otherwise


cdef double lowest_of_cubic(const Point *one, const Point *other) noexcept nogil:
    """Minimum of the cubic through two points with their slopes: 0.0 is at one, 1.0 at other; NaN: no minimum."""
    cdef double h = other.t - one.t, a = one.slope * h, b = other.slope * h
    cdef double c = (a + b) - 3.0 * (other.f - one.f), radicand = c * c - a * b, root, divisor
    if not radicand >= 0.0:
        return NAN
    root = sqrt(radicand)
    divisor = (b - a) + 2.0 * root
    return 1.0 - ((b + root) - c) / divisor if divisor > 0.0 else NAN


cdef inline bint is_finite(const Point *point) noexcept nogil:
    return fabs(point.f) <= DBL_MAX and fabs(point.slope) <= DBL_MAX


cdef int line_search(LBFGS method, const Point *start, double t) except -1 nogil:
    """Move to a point with the strong Wolfe conditions, t being the first trial.

    After `most` trials, or where the interval is too small to go on: to the best point so far, which may be the start.
    """
    cdef Shared *shared = method.shared
    cdef Py_ssize_t size = shared.sizes.n_parameters * sizeof(double), _trial
    cdef Point low = start[0], high = start[0], before
    cdef bint bounded = False, onward
    cdef double last = INFINITY, last_but_one = INFINITY, width, u
    for _trial in range(method.most):
        trial(method, t)
        before = low
        if not (is_finite(&method.here) and method.here.f <= start.f + (SUFFICIENT_DECREASE * t) * start.slope
                and method.here.f < low.f):
            high, bounded = method.here, True
        elif fabs(method.here.slope) <= -(CURVATURE * start.slope):
            return 0
        else:
            onward = not bounded or high.t > low.t
            if (method.here.slope > 0.0) == onward:
                high, bounded = low, True
            low = method.here
            memcpy(method.low_g, shared.sums.g, size)
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
                break  # a kink of the objective, where no point has a small slope
    method.here = low
    if low.t > 0.0:
        move(method, low.t)
        memcpy(shared.sums.g, method.low_g, size)
    else:
        memcpy(shared.optimizer.w, method.start, size)
        memcpy(shared.sums.g, method.start_g, size)
    return 0


cdef int lbfgs_iteration(LBFGS method, double *loss) except -1 nogil:
    """Search along -H g, or along -g where no pair is held or that search fails; keep the pair s, y of the step."""
    cdef Shared *shared = method.shared
    cdef Optimizer *optimizer = &shared.optimizer
    cdef bp_pairs *pairs = &method.pairs
    cdef double *g = shared.sums.g
    cdef double *scalars = optimizer.scalars
    cdef Py_ssize_t n = shared.sizes.n_parameters, at
    cdef double steepest, t, slope, sy, yy
    cdef double *s
    cdef double *y
    cdef Point start
    if not method.known:
        objective(method)
        method.known = True
        loss[0] = method.here.loss
        if not fabs(loss[0]) <= DBL_MAX:
            return 0
        if not fabs(method.here.f) <= DBL_MAX or kernel.first_not_finite(n, g) >= 0:
            method.reason = "overflow"
            return 0
    loss[0] = method.here.loss
    steepest = kernel.max_abs(n, g)
    if steepest <= method.tolerance:
        method.reason = "gradient"
        return 0
    memcpy(method.start, optimizer.w, n * sizeof(double))
    memcpy(method.start_g, g, n * sizeof(double))
    start = method.here
    start.t = 0.0
    while True:
        pairs.held, pairs.newest, pairs.gamma = <Py_ssize_t>scalars[0], <Py_ssize_t>scalars[1], scalars[2]
        if pairs.held > 0:
            slope, t = kernel.two_loops(pairs, method.start_g, method.d, method.alphas), 1.0
        else:
            t = 1.0 / sqrt(kernel.divide(n, method.start_g, -steepest, method.d))
            slope = kernel.dot(n, method.start_g, method.d)
        method.check_signals((4.0 * pairs.held + 12.0) * n)
        if fabs(slope) <= DBL_MAX and slope < 0.0:
            start.slope = slope
            line_search(method, &start, t)
            if method.here.t > 0.0:
                break
        scalars[0] = 0.0
        if pairs.held == 0:
            method.reason = "line_search"
            return 0
    s, y = method.d, method.low_g
    kernel.differences(n, optimizer.w, method.start, s)
    kernel.differences(n, g, method.start_g, y)
    sy, yy = kernel.dot(n, s, y), kernel.dot(n, y, y)
    if LEAST_CURVATURE * -(method.here.t * slope) < sy <= DBL_MAX and 0.0 < yy <= DBL_MAX:
        at = (pairs.newest + 1) % pairs.memory
        memcpy(optimizer.slots + at * n, s, n * sizeof(double))
        memcpy(optimizer.slots + (pairs.memory + at) * n, y, n * sizeof(double))
        scalars[0], scalars[1] = min(pairs.held + 1, pairs.memory), at
        scalars[2], scalars[3 + at] = sy / yy, sy
    return 0
