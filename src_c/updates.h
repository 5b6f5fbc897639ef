/* The update rules (N7), on parameters from start up to stop.
 *
 * g holds the gradient's sums over a batch; the mean is g/B, or g*(1/B), the same number, if B is a
 * power of two. */
#ifndef BP_UPDATES_H
#define BP_UPDATES_H

#include "kernel.h"
#include "vector.h"

typedef struct {
    int divide;
    bp_vec by; /* B, or 1/B */
} bp_mean;

BP_INLINE bp_mean bp_mean_of(ptrdiff_t batch) {
    int divide = (batch & (batch - 1)) != 0;
    return (bp_mean){divide, bp_set(divide ? (double)batch : 1.0 / (double)batch)};
}

BP_INLINE bp_vec bp_mean_gradient_of(bp_mean mean, bp_vec g) {
    return mean.divide ? g / mean.by : g * mean.by;
}

static void bp_mean_gradient(ptrdiff_t n, ptrdiff_t batch, double *g) {
    bp_mean mean = bp_mean_of(batch);
    for (ptrdiff_t k = 0; k < n; k += BP_LANES) {
        bp_part part = bp_part_of(n - k < BP_LANES ? n - k : BP_LANES);
        bp_store_part(g + k, part, bp_mean_gradient_of(mean, bp_load_part(g + k, part)));
    }
}

/* The state of one vector of parameters; m and v are what a rule keeps. */
typedef struct {
    bp_vec w, m, v;
} bp_state;

typedef bp_state (*bp_rule)(bp_state state, bp_vec g, const double *rates);

BP_INLINE void bp_update(bp_rule rule, int n_moments, ptrdiff_t start, ptrdiff_t stop, ptrdiff_t n,
                         ptrdiff_t batch, const double *rates, double *w, const double *g,
                         double *moments) {
    bp_mean mean = bp_mean_of(batch);
    double *m = moments, *v = n_moments > 1 ? moments + n : NULL;
    ptrdiff_t k = start;
#define BP_STEP(LOAD, STORE)                                                                       \
    do {                                                                                           \
        bp_state state = {LOAD(w), n_moments > 0 ? LOAD(m) : bp_set(0.0),                          \
                          n_moments > 1 ? LOAD(v) : bp_set(0.0)};                                  \
        state = rule(state, bp_mean_gradient_of(mean, LOAD(g)), rates);                            \
        STORE(w, state.w);                                                                         \
        if (n_moments > 0)                                                                         \
            STORE(m, state.m);                                                                     \
        if (n_moments > 1)                                                                         \
            STORE(v, state.v);                                                                     \
    } while (0)
#define BP_LOAD_FULL(p) bp_load((p) + k)
#define BP_STORE_FULL(p, value) bp_store((p) + k, value)
#define BP_LOAD_LAST(p) bp_load_part((p) + k, part)
#define BP_STORE_LAST(p, value) bp_store_part((p) + k, part, value)
    if (mean.divide)
        for (; k + BP_LANES <= stop; k += BP_LANES)
            BP_STEP(BP_LOAD_FULL, BP_STORE_FULL);
    else
        for (; k + BP_LANES <= stop; k += BP_LANES)
            BP_STEP(BP_LOAD_FULL, BP_STORE_FULL);
    if (k < stop) {
        bp_part part = bp_part_of(stop - k);
        BP_STEP(BP_LOAD_LAST, BP_STORE_LAST);
    }
#undef BP_LOAD_FULL
#undef BP_STORE_FULL
#undef BP_LOAD_LAST
#undef BP_STORE_LAST
#undef BP_STEP
}

BP_INLINE bp_state bp_sgd_rule(bp_state state, bp_vec g, const double *rates) {
    state.w = state.w - rates[0] * g;
    return state;
}

BP_INLINE bp_state bp_momentum_rule(bp_state state, bp_vec g, const double *rates) {
    state.m = rates[1] * state.m - rates[0] * g;
    state.w = state.w + state.m;
    return state;
}

BP_INLINE bp_state bp_nesterov_rule(bp_state state, bp_vec g, const double *rates) {
    state.m = rates[1] * state.m - rates[0] * g;
    state.w = state.w + (rates[1] * state.m - rates[0] * g);
    return state;
}

/* rates: rate, b1, 1 - b1, b2, 1 - b2, epsilon. */
BP_INLINE bp_state bp_adam_rule(bp_state state, bp_vec g, const double *rates) {
    state.m = rates[1] * state.m + rates[2] * g;
    state.v = rates[3] * state.v + rates[4] * (g * g);
    state.w = state.w - (rates[0] * state.m) / (bp_sqrt(state.v) + rates[5]);
    return state;
}

/* settings: the learning rate, then momentum, if any. */
static void bp_sgd_begin(const double *settings, double *powers, double *rates) {
    (void)powers;
    rates[0] = settings[0];
}

static void bp_momentum_begin(const double *settings, double *powers, double *rates) {
    (void)powers;
    rates[0] = settings[0];
    rates[1] = settings[1];
}

/* settings: learning rate, b1, b2, epsilon; powers: b1 and b2 to the number of steps. */
static void bp_adam_begin(const double *settings, double *powers, double *rates) {
    double lr = settings[0], b1 = settings[1], b2 = settings[2];
    powers[0] = powers[0] * b1;
    powers[1] = powers[1] * b2;
    rates[0] = (lr * sqrt(1.0 - powers[1])) / (1.0 - powers[0]);
    rates[1] = b1;
    rates[2] = 1.0 - b1;
    rates[3] = b2;
    rates[4] = 1.0 - b2;
    rates[5] = settings[3];
}

#define BP_UPDATE(name, n_moments)                                                                 \
    static void bp_##name(ptrdiff_t start, ptrdiff_t stop, ptrdiff_t n_parameters,                 \
                          ptrdiff_t batch, const double *rates, double *w, const double *g,        \
                          double *moments) {                                                       \
        bp_update(bp_##name##_rule, n_moments, start, stop, n_parameters, batch, rates, w, g,      \
                  moments);                                                                        \
    }
BP_UPDATE(sgd, 0)
BP_UPDATE(momentum, 1)
BP_UPDATE(nesterov, 1)
BP_UPDATE(adam, 2)
#undef BP_UPDATE

static const bp_update_rule bp_update_rules[bp_n_update_rules] = {
    {"sgd", 0, 0, bp_sgd_begin, bp_sgd},
    {"momentum", 1, 0, bp_momentum_begin, bp_momentum},
    {"nesterov", 1, 0, bp_momentum_begin, bp_nesterov},
    {"adam", 2, 2, bp_adam_begin, bp_adam},
};

#endif
