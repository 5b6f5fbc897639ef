/* Update rules (N7): one step of an optimizer for the parameters from start up to stop.
 *
 * Shapes: w, g (n_parameters), slots (n_slots, n_parameters): what a rule keeps for each parameter,
 * such as Adam's two moments. Parameters do not depend on each other, so threads share them.
 *
 * A rule is one function, bp_NAME_rule, of one vector of parameters; a row of BP_UPDATE_RULES, from
 * which its loop and its entry in the table are made; and a bp_..._begin, which once a step turns
 * the optimizer's settings and its running scalars into the numbers that the loop needs (rates).
 *
 * g holds the sum of a batch's gradients (N6). The rule gets the mean: g/B, or g*(1/B), which is
 * the same number, if B is a power of two whose reciprocal is normal: 1/B is then exact. */
#ifndef BP_UPDATES_H
#define BP_UPDATES_H

#include "kernel.h"
#include "vector.h"

/* How the mean is taken: a division by B, or a product with 1/B, which is several times as fast. */
typedef struct {
    int divide;
    bp_vec by; /* B, or 1/B */
} bp_mean;

/* The mean over a batch of B: by 1/B where that is exact, else by division. batch: B, the number of
 * rows or, with sample weights, their total weight (N17); above 0.0. */
BP_INLINE bp_mean bp_mean_of(double batch) {
    uint64_t bits;
    memcpy(&bits, &batch, sizeof bits);
    /* A product if the 52 bits of the fraction are 0 and the exponent, biased by 1023, is from 1 to
     * 2045: then B = 2^e with |e| <= 1022, and 2^-e is normal. */
    int divide = bits << 12 != 0 || (bits >> 52) - 1 > 2044;
    return (bp_mean){divide, bp_set(divide ? batch : 1.0 / batch)};
}

BP_INLINE bp_vec bp_mean_gradient_of(bp_mean mean, bp_vec g) {
    return mean.divide ? g / mean.by : g * mean.by;
}

/* g becomes the mean, for n numbers. */
static void bp_mean_gradient(ptrdiff_t n, double batch, double *g) {
    bp_mean mean = bp_mean_of(batch);
    for (ptrdiff_t k = 0; k < n; k += BP_LANES) {
        bp_part part = bp_part_of(bp_least(n - k, BP_LANES));
        bp_store_part(g + k, part, bp_mean_gradient_of(mean, bp_load_part(g + k, part)));
    }
}

/* One vector of parameters w, and of its slots m, v and u; those that a rule does not have are 0.0
 * on the way in and are not stored. A rule with more slots needs more of them here and in
 * bp_update, and BP_MOST_SLOTS says so when it is compiled. */
enum { BP_MOST_SLOTS = 3 };
typedef struct {
    bp_vec w, m, v, u;
} bp_state;

typedef bp_state (*bp_rule)(bp_state state, bp_vec g, const double *rates);

/* The loop of a rule. rule and n_slots are constants where this is called, so that rule is inlined
 * and slots that it does not have cost nothing.
 *
 * BP_STEP is one vector, full or the last one in part: mean gradient, rule, stores. The loop over
 * full vectors stands here twice on purpose, so that mean.divide is not tested in it: gcc would
 * move the test out by itself at -O3, but not at -O2. */
BP_INLINE void bp_update(bp_rule rule, int n_slots, ptrdiff_t start, ptrdiff_t stop, ptrdiff_t n,
                         double batch, const double *rates, double *w, const double *g,
                         double *slots) {
    bp_mean mean = bp_mean_of(batch);
    double *m = slots, *v = n_slots > 1 ? m + n : NULL, *u = n_slots > 2 ? v + n : NULL;
    ptrdiff_t k = start;
#define BP_STEP(LOAD, STORE)                                                                       \
    do {                                                                                           \
        bp_state state = {LOAD(w), n_slots > 0 ? LOAD(m) : bp_set(0.0),                            \
                          n_slots > 1 ? LOAD(v) : bp_set(0.0),                                     \
                          n_slots > 2 ? LOAD(u) : bp_set(0.0)};                                    \
        state = rule(state, bp_mean_gradient_of(mean, LOAD(g)), rates);                            \
        STORE(w, state.w);                                                                         \
        if (n_slots > 0)                                                                           \
            STORE(m, state.m);                                                                     \
        if (n_slots > 1)                                                                           \
            STORE(v, state.v);                                                                     \
        if (n_slots > 2)                                                                           \
            STORE(u, state.u);                                                                     \
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

/* Plain gradient descent. rates: learning rate. */
BP_INLINE bp_state bp_sgd_rule(bp_state state, bp_vec g, const double *rates) {
    state.w = state.w - rates[0] * g;
    return state;
}

/* Momentum (Polyak 1964): m is the step. rates: learning rate, momentum. */
BP_INLINE bp_state bp_momentum_rule(bp_state state, bp_vec g, const double *rates) {
    state.m = rates[1] * state.m - rates[0] * g;
    state.w = state.w + state.m;
    return state;
}

/* Nesterov's momentum, the gradient taken at w (Sutskever et al. 2013, Bengio et al. 2013): the
 * step is what m will be if the gradient stays. rates: as momentum's. */
BP_INLINE bp_state bp_nesterov_rule(bp_state state, bp_vec g, const double *rates) {
    state.m = rates[1] * state.m - rates[0] * g;
    state.w = state.w + (rates[1] * state.m - rates[0] * g);
    return state;
}

/* Adam (Kingma and Ba 2015, the efficient form): m and v are the running means of g and g^2. rates:
 * the step's rate with both bias corrections, b1, 1 - b1, b2, 1 - b2, epsilon. */
BP_INLINE bp_state bp_adam_rule(bp_state state, bp_vec g, const double *rates) {
    state.m = rates[1] * state.m + rates[2] * g;
    state.v = rates[3] * state.v + rates[4] * (g * g);
    state.w = state.w - (rates[0] * state.m) / (bp_sqrt(state.v) + rates[5]);
    return state;
}

/* Adam with decoupled weight decay (Loshchilov and Hutter 2019). rates: as Adam's, then
 * lr*weight_decay, the share that a weight loses in a step. */
BP_INLINE bp_state bp_adamw_rule(bp_state state, bp_vec g, const double *rates) {
    state.m = rates[1] * state.m + rates[2] * g;
    state.v = rates[3] * state.v + rates[4] * (g * g);
    state.w = (state.w - rates[6] * state.w) - (rates[0] * state.m) / (bp_sqrt(state.v) + rates[5]);
    return state;
}

/* RMSprop (Tieleman and Hinton 2012): m is the running mean of g^2. rates: learning rate, rho,
 * 1 - rho, epsilon. */
BP_INLINE bp_state bp_rmsprop_rule(bp_state state, bp_vec g, const double *rates) {
    state.m = rates[1] * state.m + rates[2] * (g * g);
    state.w = state.w - (rates[0] * g) / (bp_sqrt(state.m) + rates[3]);
    return state;
}

/* RMSprop with momentum: v is the running step. rates: as RMSprop's, then the momentum. */
BP_INLINE bp_state bp_rmsprop_momentum_rule(bp_state state, bp_vec g, const double *rates) {
    state.m = rates[1] * state.m + rates[2] * (g * g);
    state.v = rates[4] * state.v + (rates[0] * g) / (bp_sqrt(state.m) + rates[3]);
    state.w = state.w - state.v;
    return state;
}

/* 1.0, -1.0 or 0.0, which is also a NaN's. */
BP_INLINE bp_vec bp_sign(bp_vec x) {
    const bp_vec zero = bp_set(0.0);
    return bp_select(bp_less(zero, x), bp_set(1.0),
                     bp_select(bp_less(x, zero), bp_set(-1.0), zero));
}

/* Penalties (N16): g = (g + l2*w) + l1*sign(w) for n weights, g on the right the mean. */
static void bp_penalize(ptrdiff_t n, double batch, double l1, double l2, const double *w,
                        double *g) {
    bp_mean mean = bp_mean_of(batch);
    for (ptrdiff_t k = 0; k < n; k += BP_LANES) {
        bp_part part = bp_part_of(bp_least(n - k, BP_LANES));
        bp_vec w_k = bp_load_part(w + k, part);
        bp_vec g_k = bp_mean_gradient_of(mean, bp_load_part(g + k, part));
        bp_store_part(g + k, part, (g_k + l2 * w_k) + l1 * bp_sign(w_k));
    }
}

/* Rprop's step size of each parameter: longer where the gradient has kept its sign (turn above
 * 0.0), shorter where it has changed it (below 0.0). rates: increase, decrease, min_step, max_step.
 */
BP_INLINE bp_vec bp_new_step(bp_vec step, bp_vec turn, const double *rates) {
    const bp_vec zero = bp_set(0.0), low = bp_set(rates[2]), high = bp_set(rates[3]);
    bp_vec longer = step * rates[0], shorter = step * rates[1];
    longer = bp_select(bp_less(high, longer), high, longer);
    shorter = bp_select(bp_less(shorter, low), low, shorter);
    return bp_select(bp_less(zero, turn), longer, bp_select(bp_less(turn, zero), shorter, step));
}

/* iRprop- (Igel and Huesken 2003): m is the gradient of the step before, 0.0 after a change of
 * sign, v the step size. */
BP_INLINE bp_state bp_irprop_minus_rule(bp_state state, bp_vec g, const double *rates) {
    bp_vec turn = bp_sign(state.m) * bp_sign(g);
    state.v = bp_new_step(state.v, turn, rates);
    state.m = bp_select(bp_less(turn, bp_set(0.0)), bp_set(0.0), g);
    state.w = state.w - bp_sign(state.m) * state.v;
    return state;
}

/* Rprop+ (Riedmiller and Braun 1993), which takes a step back after a change of sign: m and v as
 * iRprop-'s, u the step taken. */
BP_INLINE bp_state bp_rprop_plus_rule(bp_state state, bp_vec g, const double *rates) {
    bp_vec turn = bp_sign(state.m) * bp_sign(g);
    bp_mask turned = bp_less(turn, bp_set(0.0));
    state.v = bp_new_step(state.v, turn, rates);
    state.m = bp_select(turned, bp_set(0.0), g);
    state.u = bp_select(turned, -state.u, bp_sign(g) * state.v);
    state.w = state.w - state.u;
    return state;
}

/* settings: learning rate. */
static void bp_sgd_begin(const double *settings, double *scalars, double *rates) {
    (void)scalars;
    rates[0] = settings[0];
}

/* settings: learning rate, momentum. */
static void bp_momentum_begin(const double *settings, double *scalars, double *rates) {
    (void)scalars;
    rates[0] = settings[0];
    rates[1] = settings[1];
}

/* settings: learning rate, b1, b2, epsilon. scalars: b1^t and b2^t, t the number of steps, as
 * running products. rates[0] = lr*sqrt(1 - b2^t)/(1 - b1^t). */
static void bp_adam_begin(const double *settings, double *scalars, double *rates) {
    double lr = settings[0], b1 = settings[1], b2 = settings[2];
    scalars[0] = scalars[0] * b1;
    scalars[1] = scalars[1] * b2;
    rates[0] = (lr * sqrt(1.0 - scalars[1])) / (1.0 - scalars[0]);
    rates[1] = b1;
    rates[2] = 1.0 - b1;
    rates[3] = b2;
    rates[4] = 1.0 - b2;
    rates[5] = settings[3];
}

/* settings: as Adam's, then the weight decay. */
static void bp_adamw_begin(const double *settings, double *scalars, double *rates) {
    bp_adam_begin(settings, scalars, rates);
    rates[6] = settings[0] * settings[4];
}

/* settings: learning rate, rho, epsilon. */
static void bp_rmsprop_begin(const double *settings, double *scalars, double *rates) {
    (void)scalars;
    rates[0] = settings[0];
    rates[1] = settings[1];
    rates[2] = 1.0 - settings[1];
    rates[3] = settings[2];
}

/* settings: as RMSprop's, then the momentum. */
static void bp_rmsprop_momentum_begin(const double *settings, double *scalars, double *rates) {
    bp_rmsprop_begin(settings, scalars, rates);
    rates[4] = settings[3];
}

/* settings, and rates: increase, decrease, min_step, max_step. */
static void bp_rprop_begin(const double *settings, double *scalars, double *rates) {
    (void)scalars;
    memcpy(rates, settings, 4 * sizeof *rates);
}

/* X(name, n_slots, n_scalars, n_settings, begin): all that is said of a rule but its arithmetic,
 * bp_NAME_rule. */
#define BP_UPDATE_RULES(X)                                                                         \
    X(sgd, 0, 0, 1, bp_sgd_begin)                                                                  \
    X(momentum, 1, 0, 2, bp_momentum_begin)                                                        \
    X(nesterov, 1, 0, 2, bp_momentum_begin)                                                        \
    X(adam, 2, 2, 4, bp_adam_begin)                                                                \
    X(adamw, 2, 2, 5, bp_adamw_begin)                                                              \
    X(rmsprop, 1, 0, 3, bp_rmsprop_begin)                                                          \
    X(rmsprop_momentum, 2, 0, 4, bp_rmsprop_momentum_begin)                                        \
    X(irprop_minus, 2, 0, 4, bp_rprop_begin)                                                       \
    X(rprop_plus, 3, 0, 4, bp_rprop_begin)

/* The loop of each rule, and a check that there is room for what it keeps. */
#define BP_FUNCTION(name, n_slots, n_scalars, n_settings, begin)                                   \
    _Static_assert(n_slots <= BP_MOST_SLOTS, #name ": bp_state and bp_update need more slots");    \
    _Static_assert(n_scalars <= BP_SCALARS, #name ": raise BP_SCALARS in kernel.h");               \
    static void bp_##name(ptrdiff_t start, ptrdiff_t stop, ptrdiff_t n_parameters, double batch,   \
                          const double *rates, double *w, const double *g, double *slots) {        \
        bp_update(bp_##name##_rule, n_slots, start, stop, n_parameters, batch, rates, w, g,        \
                  slots);                                                                          \
    }
BP_UPDATE_RULES(BP_FUNCTION)
#undef BP_FUNCTION

/* The table of rules; a row without a name ends it. */
static const bp_update_rule bp_update_rules[] = {
#define BP_ENTRY(name, n_slots, n_scalars, n_settings, begin)                                      \
    {#name, n_slots, n_scalars, n_settings, begin, bp_##name},
    BP_UPDATE_RULES(BP_ENTRY)
#undef BP_ENTRY
        {NULL, 0, 0, 0, NULL, NULL},
};

#endif
