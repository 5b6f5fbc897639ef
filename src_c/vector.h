/* Vectors of doubles, one name for each operation on every instruction set.
 *
 * A source that includes this first defines one of BP_TARGET_SCALAR, _PAIR, _PAIR_FMA, _AVX2,
 * _AVX512 and _NEON. Each target says the same list of things, in the same order:
 *
 *   BP_LANES       doubles in a vector
 *   BP_TILE_VECS   vectors in a row of a tile of ordered.h: its BP_TILE_ROWS*BP_TILE_VECS
 *                  accumulators must fit the registers, of which AVX-512 and NEON have 32, the
 *                  others 16. Code asks for these two numbers, never for a target's name.
 *   bp_vec         BP_LANES doubles; + - * / are those of the lanes. With one lane it is a double,
 *                  and all that is written on bp_vec is plain C.
 *   bp_ivec        the lanes' bits as 64-bit integers
 *   bp_mask        a truth value for each lane
 *   bp_part        which lanes, the first so many, lie within an array: of its last vector
 *   bp_set(x), bp_spread(p)        x, or *p, on every lane
 *   bp_load(p), bp_store(p, v)     a vector at any multiple of 8 bytes
 *   bp_part_of(n)                  the first n lanes, 1 <= n <= BP_LANES
 *   bp_load_part, bp_store_part    those lanes alone; no other address is touched
 *   bp_keep(part, v, other)        v in these lanes, other in the rest
 *   bp_muladd(a, b, c), bp_nmuladd(a, b, c)   a*b + c and c - a*b, rounded once where that costs
 *                  one instruction, else twice: for the elementary functions alone, whose result
 *                  does not depend on it. Everything else says * and +, which round twice.
 *   bp_less(a, b) and so on        false where an operand is a NaN
 *   bp_select(m, a, b)             a where m, else b
 *   bp_lanes_of(m)                 bit k of an integer: lane k of m
 *   bp_lookup(table, index, &first, &second)  table[index] and table[index + 1] in each lane
 *   bp_transpose(rows)             rows[k][l] and rows[l][k] change places */
#ifndef BP_VECTOR_H
#define BP_VECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define BP_INLINE static inline __attribute__((always_inline, unused))
#define BP_COLD static __attribute__((noinline, cold, unused))
#else
#define BP_INLINE static inline
#define BP_COLD static
#endif

/* The smaller of two sizes. */
BP_INLINE ptrdiff_t bp_least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

#if defined(BP_TARGET_AVX512)

/* AVX-512: 32 registers of 8 doubles, masks in registers of their own. */

#include <immintrin.h>

#define BP_LANES 8
#define BP_TILE_VECS 4
typedef double bp_vec __attribute__((vector_size(64)));
typedef uint64_t bp_ivec __attribute__((vector_size(64)));
typedef __mmask8 bp_mask;
typedef __mmask8 bp_part;

/* Memory: whole vectors, then parts of one. */
BP_INLINE bp_vec bp_set(double x) { return _mm512_set1_pd(x); }
/* A broadcast of integers, not of doubles: Zen 4 runs vpbroadcastq from memory on its load units,
 * but the 512-bit vbroadcastsd on the units that add and multiply, which the products keep busy. */
BP_INLINE bp_vec bp_spread(const double *p) {
    long long bits;
    memcpy(&bits, p, sizeof bits);
    return (bp_vec)_mm512_set1_epi64(bits);
}
BP_INLINE bp_vec bp_load(const double *p) { return _mm512_loadu_pd(p); }
BP_INLINE void bp_store(double *p, bp_vec v) { _mm512_storeu_pd(p, v); }
BP_INLINE bp_part bp_part_of(ptrdiff_t n) { return (bp_part)((1u << n) - 1); }
BP_INLINE bp_vec bp_load_part(const double *p, bp_part part) {
    return _mm512_maskz_loadu_pd(part, p);
}
BP_INLINE void bp_store_part(double *p, bp_part part, bp_vec v) {
    _mm512_mask_storeu_pd(p, part, v);
}
BP_INLINE bp_vec bp_keep(bp_part part, bp_vec v, bp_vec other) {
    return _mm512_mask_blend_pd(part, other, v);
}
BP_INLINE bp_vec bp_muladd(bp_vec a, bp_vec b, bp_vec c) { return _mm512_fmadd_pd(a, b, c); }
BP_INLINE bp_vec bp_nmuladd(bp_vec a, bp_vec b, bp_vec c) { return _mm512_fnmadd_pd(a, b, c); }
/* The square root, correctly rounded; comparisons, which are false where an operand is a NaN. */
BP_INLINE bp_vec bp_sqrt(bp_vec v) { return _mm512_sqrt_pd(v); }
BP_INLINE bp_mask bp_less_equal(bp_vec a, bp_vec b) { return _mm512_cmp_pd_mask(a, b, _CMP_LE_OQ); }
BP_INLINE bp_mask bp_less(bp_vec a, bp_vec b) { return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ); }
BP_INLINE bp_mask bp_equal(bp_vec a, bp_vec b) { return _mm512_cmp_pd_mask(a, b, _CMP_EQ_OQ); }
/* Masks: the lanes of both, a choice between two vectors lane by lane, a mask as bits. */
BP_INLINE bp_mask bp_and(bp_mask a, bp_mask b) { return a & b; }
BP_INLINE bp_vec bp_select(bp_mask m, bp_vec a, bp_vec b) { return _mm512_mask_blend_pd(m, b, a); }
BP_INLINE unsigned bp_lanes_of(bp_mask m) { return m; }
/* The same 64 bits of a lane, seen as an integer and as a double. */
BP_INLINE bp_ivec bp_bits(bp_vec v) { return (bp_ivec)v; }
BP_INLINE bp_vec bp_from_bits(bp_ivec v) { return (bp_vec)v; }

/* One load of two doubles for each lane, then unpacked. A gather instruction would need two passes,
 * one for each double. */
BP_INLINE void bp_lookup(const double *table, bp_ivec index, bp_vec *first, bp_vec *second) {
    uint64_t at[BP_LANES];
    memcpy(at, &index, sizeof at);
#define BP_LOAD_PAIR(k) _mm_loadu_pd(table + at[k])
#define BP_TWO(k, l)                                                                               \
    _mm256_insertf128_pd(_mm256_castpd128_pd256(BP_LOAD_PAIR(k)), BP_LOAD_PAIR(l), 1)
    __m512d even = _mm512_insertf64x4(_mm512_castpd256_pd512(BP_TWO(0, 2)), BP_TWO(4, 6), 1);
    __m512d odd = _mm512_insertf64x4(_mm512_castpd256_pd512(BP_TWO(1, 3)), BP_TWO(5, 7), 1);
#undef BP_TWO
#undef BP_LOAD_PAIR
    *first = _mm512_unpacklo_pd(even, odd);
    *second = _mm512_unpackhi_pd(even, odd);
}

/* Three rounds: pairs of neighbouring lanes, then blocks of two, then of four. */
BP_INLINE void bp_transpose(bp_vec rows[BP_LANES]) {
    __m512d two[8], four[8];
    for (int k = 0; k < 8; k += 2) {
        two[k] = _mm512_unpacklo_pd(rows[k], rows[k + 1]);
        two[k + 1] = _mm512_unpackhi_pd(rows[k], rows[k + 1]);
    }
    for (int half = 0; half < 8; half += 4)
        for (int k = half; k < half + 2; k++) {
            four[k] = _mm512_shuffle_f64x2(two[k], two[k + 2], 0x88);
            four[k + 2] = _mm512_shuffle_f64x2(two[k], two[k + 2], 0xdd);
        }
    for (int k = 0; k < 4; k++) {
        rows[k] = _mm512_shuffle_f64x2(four[k], four[k + 4], 0x88);
        rows[k + 4] = _mm512_shuffle_f64x2(four[k], four[k + 4], 0xdd);
    }
}

#elif defined(BP_TARGET_AVX2)

/* AVX2 with FMA: 16 registers of 4 doubles; a mask is a vector whose lanes are all ones or zeros.
 */

#include <immintrin.h>

#define BP_LANES 4
#define BP_TILE_VECS 2
typedef double bp_vec __attribute__((vector_size(32)));
typedef uint64_t bp_ivec __attribute__((vector_size(32)));
typedef __m256d bp_mask;
typedef __m256i bp_part;

/* Memory: whole vectors, then parts of one. */
BP_INLINE bp_vec bp_set(double x) { return _mm256_set1_pd(x); }
BP_INLINE bp_vec bp_spread(const double *p) { return _mm256_set1_pd(*p); }
BP_INLINE bp_vec bp_load(const double *p) { return _mm256_loadu_pd(p); }
BP_INLINE void bp_store(double *p, bp_vec v) { _mm256_storeu_pd(p, v); }
/* Lane k belongs to the part if k < n. */
BP_INLINE bp_part bp_part_of(ptrdiff_t n) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
BP_INLINE bp_vec bp_load_part(const double *p, bp_part part) { return _mm256_maskload_pd(p, part); }
/* Plain stores of one or two doubles, since a masked store (vmaskmovpd) is dozens of operations on
 * AMD's processors (Fog's instruction tables). */
BP_INLINE void bp_store_part(double *p, bp_part part, bp_vec v) {
    int lanes = _mm256_movemask_pd(_mm256_castsi256_pd(part));
    __m128d low = _mm256_castpd256_pd128(v);
    if (lanes == 15) {
        _mm256_storeu_pd(p, v);
    } else if (lanes == 1) {
        _mm_store_sd(p, low);
    } else {
        _mm_storeu_pd(p, low);
        if (lanes == 7)
            _mm_store_sd(p + 2, _mm256_extractf128_pd(v, 1));
    }
}
BP_INLINE bp_vec bp_keep(bp_part part, bp_vec v, bp_vec other) {
    return _mm256_blendv_pd(other, v, _mm256_castsi256_pd(part));
}
BP_INLINE bp_vec bp_muladd(bp_vec a, bp_vec b, bp_vec c) { return _mm256_fmadd_pd(a, b, c); }
BP_INLINE bp_vec bp_nmuladd(bp_vec a, bp_vec b, bp_vec c) { return _mm256_fnmadd_pd(a, b, c); }
/* The square root, correctly rounded; comparisons, which are false where an operand is a NaN. */
BP_INLINE bp_vec bp_sqrt(bp_vec v) { return _mm256_sqrt_pd(v); }
BP_INLINE bp_mask bp_less_equal(bp_vec a, bp_vec b) { return _mm256_cmp_pd(a, b, _CMP_LE_OQ); }
BP_INLINE bp_mask bp_less(bp_vec a, bp_vec b) { return _mm256_cmp_pd(a, b, _CMP_LT_OQ); }
BP_INLINE bp_mask bp_equal(bp_vec a, bp_vec b) { return _mm256_cmp_pd(a, b, _CMP_EQ_OQ); }
/* Masks: the lanes of both, a choice between two vectors lane by lane, a mask as bits. */
BP_INLINE bp_mask bp_and(bp_mask a, bp_mask b) { return _mm256_and_pd(a, b); }
BP_INLINE bp_vec bp_select(bp_mask m, bp_vec a, bp_vec b) { return _mm256_blendv_pd(b, a, m); }
BP_INLINE unsigned bp_lanes_of(bp_mask m) { return (unsigned)_mm256_movemask_pd(m); }
/* The same 64 bits of a lane, seen as an integer and as a double. */
BP_INLINE bp_ivec bp_bits(bp_vec v) { return (bp_ivec)v; }
BP_INLINE bp_vec bp_from_bits(bp_ivec v) { return (bp_vec)v; }

BP_INLINE void bp_lookup(const double *table, bp_ivec index, bp_vec *first, bp_vec *second) {
    uint64_t at[BP_LANES];
    memcpy(at, &index, sizeof at);
#define BP_LOAD_PAIR(k) _mm_loadu_pd(table + at[k])
    __m256d even =
        _mm256_insertf128_pd(_mm256_castpd128_pd256(BP_LOAD_PAIR(0)), BP_LOAD_PAIR(2), 1);
    __m256d odd = _mm256_insertf128_pd(_mm256_castpd128_pd256(BP_LOAD_PAIR(1)), BP_LOAD_PAIR(3), 1);
#undef BP_LOAD_PAIR
    *first = _mm256_unpacklo_pd(even, odd);
    *second = _mm256_unpackhi_pd(even, odd);
}

/* Two rounds: pairs of neighbouring lanes, then blocks of two. */
BP_INLINE void bp_transpose(bp_vec rows[BP_LANES]) {
    __m256d two[4];
    for (int k = 0; k < 4; k += 2) {
        two[k] = _mm256_unpacklo_pd(rows[k], rows[k + 1]);
        two[k + 1] = _mm256_unpackhi_pd(rows[k], rows[k + 1]);
    }
    for (int k = 0; k < 2; k++) {
        rows[k] = _mm256_permute2f128_pd(two[k], two[k + 2], 0x20);
        rows[k + 2] = _mm256_permute2f128_pd(two[k], two[k + 2], 0x31);
    }
}

#elif defined(BP_TARGET_PAIR) || defined(BP_TARGET_PAIR_FMA)

/* SSE2, or the lower halves of AVX2's registers with its FMA: 16 registers of 2 doubles. A blend is
 * and, and-not, or: SSE2 has no instruction for it. */

#include <immintrin.h>

#define BP_LANES 2
#define BP_TILE_VECS 2
typedef double bp_vec __attribute__((vector_size(16)));
typedef uint64_t bp_ivec __attribute__((vector_size(16)));
typedef __m128d bp_mask;
typedef int bp_part; /* whether the second lane is within the array */

/* Memory: whole vectors, then parts of one. */
BP_INLINE bp_vec bp_set(double x) { return _mm_set1_pd(x); }
BP_INLINE bp_vec bp_spread(const double *p) { return _mm_set1_pd(*p); }
BP_INLINE bp_vec bp_load(const double *p) { return _mm_loadu_pd(p); }
BP_INLINE void bp_store(double *p, bp_vec v) { _mm_storeu_pd(p, v); }
BP_INLINE bp_part bp_part_of(ptrdiff_t n) { return n > 1; }
BP_INLINE bp_vec bp_load_part(const double *p, bp_part part) {
    return part ? _mm_loadu_pd(p) : _mm_load_sd(p);
}
BP_INLINE void bp_store_part(double *p, bp_part part, bp_vec v) {
    if (part)
        _mm_storeu_pd(p, v);
    else
        _mm_store_sd(p, v);
}
BP_INLINE bp_vec bp_keep(bp_part part, bp_vec v, bp_vec other) {
    return part ? v : (bp_vec)_mm_move_sd(other, v);
}
#ifdef BP_TARGET_PAIR_FMA
BP_INLINE bp_vec bp_muladd(bp_vec a, bp_vec b, bp_vec c) { return _mm_fmadd_pd(a, b, c); }
BP_INLINE bp_vec bp_nmuladd(bp_vec a, bp_vec b, bp_vec c) { return _mm_fnmadd_pd(a, b, c); }
#else
BP_INLINE bp_vec bp_muladd(bp_vec a, bp_vec b, bp_vec c) { return a * b + c; }
BP_INLINE bp_vec bp_nmuladd(bp_vec a, bp_vec b, bp_vec c) { return c - a * b; }
#endif
/* The square root, correctly rounded; comparisons, which are false where an operand is a NaN. */
BP_INLINE bp_vec bp_sqrt(bp_vec v) { return _mm_sqrt_pd(v); }
BP_INLINE bp_mask bp_less_equal(bp_vec a, bp_vec b) { return _mm_cmple_pd(a, b); }
BP_INLINE bp_mask bp_less(bp_vec a, bp_vec b) { return _mm_cmplt_pd(a, b); }
BP_INLINE bp_mask bp_equal(bp_vec a, bp_vec b) { return _mm_cmpeq_pd(a, b); }
/* Masks: the lanes of both, a choice between two vectors lane by lane, a mask as bits. */
BP_INLINE bp_mask bp_and(bp_mask a, bp_mask b) { return _mm_and_pd(a, b); }
BP_INLINE bp_vec bp_select(bp_mask m, bp_vec a, bp_vec b) {
    return _mm_or_pd(_mm_and_pd(m, a), _mm_andnot_pd(m, b));
}
BP_INLINE unsigned bp_lanes_of(bp_mask m) { return (unsigned)_mm_movemask_pd(m); }
/* The same 64 bits of a lane, seen as an integer and as a double. */
BP_INLINE bp_ivec bp_bits(bp_vec v) { return (bp_ivec)v; }
BP_INLINE bp_vec bp_from_bits(bp_ivec v) { return (bp_vec)v; }

/* Two loads of two doubles, one for each lane, whose first and second halves are joined. */
BP_INLINE void bp_lookup(const double *table, bp_ivec index, bp_vec *first, bp_vec *second) {
    __m128d even = _mm_loadu_pd(table + index[0]), odd = _mm_loadu_pd(table + index[1]);
    *first = _mm_unpacklo_pd(even, odd);
    *second = _mm_unpackhi_pd(even, odd);
}

BP_INLINE void bp_transpose(bp_vec rows[BP_LANES]) {
    __m128d low = _mm_unpacklo_pd(rows[0], rows[1]);
    rows[1] = _mm_unpackhi_pd(rows[0], rows[1]);
    rows[0] = low;
}

#elif defined(BP_TARGET_NEON)

/* NEON of aarch64: 32 registers of 2 doubles, with FMA. */

#include <arm_neon.h>

#define BP_LANES 2
#define BP_TILE_VECS 4
typedef float64x2_t bp_vec;
typedef uint64x2_t bp_ivec;
typedef uint64x2_t bp_mask;
typedef int bp_part; /* whether the second lane is within the array */

/* Memory: whole vectors, then parts of one. */
BP_INLINE bp_vec bp_set(double x) { return vdupq_n_f64(x); }
BP_INLINE bp_vec bp_spread(const double *p) { return vdupq_n_f64(*p); }
BP_INLINE bp_vec bp_load(const double *p) { return vld1q_f64(p); }
BP_INLINE void bp_store(double *p, bp_vec v) { vst1q_f64(p, v); }
BP_INLINE bp_part bp_part_of(ptrdiff_t n) { return n > 1; }
BP_INLINE bp_vec bp_load_part(const double *p, bp_part part) {
    return part ? vld1q_f64(p) : vcombine_f64(vld1_f64(p), vdup_n_f64(0.0));
}
BP_INLINE void bp_store_part(double *p, bp_part part, bp_vec v) {
    if (part)
        vst1q_f64(p, v);
    else
        vst1q_lane_f64(p, v, 0);
}
BP_INLINE bp_vec bp_keep(bp_part part, bp_vec v, bp_vec other) {
    return part ? v : vcopyq_laneq_f64(other, 0, v, 0);
}
BP_INLINE bp_vec bp_muladd(bp_vec a, bp_vec b, bp_vec c) { return vfmaq_f64(c, a, b); }
BP_INLINE bp_vec bp_nmuladd(bp_vec a, bp_vec b, bp_vec c) { return vfmsq_f64(c, a, b); }
/* The square root, correctly rounded; comparisons, which are false where an operand is a NaN. */
BP_INLINE bp_vec bp_sqrt(bp_vec v) { return vsqrtq_f64(v); }
BP_INLINE bp_mask bp_less_equal(bp_vec a, bp_vec b) { return vcleq_f64(a, b); }
BP_INLINE bp_mask bp_less(bp_vec a, bp_vec b) { return vcltq_f64(a, b); }
BP_INLINE bp_mask bp_equal(bp_vec a, bp_vec b) { return vceqq_f64(a, b); }
/* Masks: the lanes of both, a choice between two vectors lane by lane, a mask as bits. */
BP_INLINE bp_mask bp_and(bp_mask a, bp_mask b) { return a & b; }
BP_INLINE bp_vec bp_select(bp_mask m, bp_vec a, bp_vec b) { return vbslq_f64(m, a, b); }
BP_INLINE unsigned bp_lanes_of(bp_mask m) {
    return (unsigned)((vgetq_lane_u64(m, 0) & 1) | (vgetq_lane_u64(m, 1) & 2));
}
/* The same 64 bits of a lane, seen as an integer and as a double. */
BP_INLINE bp_ivec bp_bits(bp_vec v) { return vreinterpretq_u64_f64(v); }
BP_INLINE bp_vec bp_from_bits(bp_ivec v) { return vreinterpretq_f64_u64(v); }

BP_INLINE void bp_lookup(const double *table, bp_ivec index, bp_vec *first, bp_vec *second) {
    bp_vec even = vld1q_f64(table + vgetq_lane_u64(index, 0));
    bp_vec odd = vld1q_f64(table + vgetq_lane_u64(index, 1));
    *first = vzip1q_f64(even, odd);
    *second = vzip2q_f64(even, odd);
}

BP_INLINE void bp_transpose(bp_vec rows[BP_LANES]) {
    bp_vec low = vzip1q_f64(rows[0], rows[1]);
    rows[1] = vzip2q_f64(rows[0], rows[1]);
    rows[0] = low;
}

#elif defined(BP_TARGET_SCALAR)

/* Plain C: one double, for processors without vectors of doubles, and for elementary.c. */

#define BP_LANES 1
#define BP_TILE_VECS 2
typedef double bp_vec;
typedef uint64_t bp_ivec;
typedef int bp_mask;
typedef int bp_part; /* always the one lane */

/* Memory: whole vectors, then parts of one. */
BP_INLINE bp_vec bp_set(double x) { return x; }
BP_INLINE bp_vec bp_spread(const double *p) { return *p; }
BP_INLINE bp_vec bp_load(const double *p) { return *p; }
BP_INLINE void bp_store(double *p, bp_vec v) { *p = v; }
BP_INLINE bp_part bp_part_of(ptrdiff_t n) { return n > 0; }
BP_INLINE bp_vec bp_load_part(const double *p, bp_part part) { return (void)part, *p; }
BP_INLINE void bp_store_part(double *p, bp_part part, bp_vec v) { (void)part, *p = v; }
BP_INLINE bp_vec bp_keep(bp_part part, bp_vec v, bp_vec other) {
    return (void)part, (void)other, v;
}
BP_INLINE bp_vec bp_muladd(bp_vec a, bp_vec b, bp_vec c) { return a * b + c; }
BP_INLINE bp_vec bp_nmuladd(bp_vec a, bp_vec b, bp_vec c) { return c - a * b; }
/* The square root, correctly rounded; comparisons, which are false where an operand is a NaN. */
BP_INLINE bp_vec bp_sqrt(bp_vec v) { return sqrt(v); }
BP_INLINE bp_mask bp_less_equal(bp_vec a, bp_vec b) { return a <= b; }
BP_INLINE bp_mask bp_less(bp_vec a, bp_vec b) { return a < b; }
BP_INLINE bp_mask bp_equal(bp_vec a, bp_vec b) { return a == b; }
/* Masks: the lanes of both, a choice between two vectors lane by lane, a mask as bits. */
BP_INLINE bp_mask bp_and(bp_mask a, bp_mask b) { return a & b; }
BP_INLINE bp_vec bp_select(bp_mask m, bp_vec a, bp_vec b) { return m ? a : b; }
BP_INLINE unsigned bp_lanes_of(bp_mask m) { return (unsigned)m; }
/* The same 64 bits of a lane, seen as an integer and as a double. */
BP_INLINE bp_ivec bp_bits(bp_vec v) {
    bp_ivec bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}
BP_INLINE bp_vec bp_from_bits(bp_ivec bits) {
    bp_vec v;
    memcpy(&v, &bits, sizeof v);
    return v;
}
/* One lane: its two neighbours in the table, and a matrix of one number. */
BP_INLINE void bp_lookup(const double *table, bp_ivec index, bp_vec *first, bp_vec *second) {
    *first = table[index];
    *second = table[index + 1];
}
BP_INLINE void bp_transpose(bp_vec rows[BP_LANES]) { (void)rows; }

#else
#error "define the target before vector.h is included"
#endif

/* Lane number `lane` of v on all lanes. */
BP_INLINE bp_vec bp_lane(bp_vec v, int lane) {
#ifdef BP_TARGET_SCALAR
    return (void)lane, v;
#else
    return bp_set(v[lane]);
#endif
}

/* Doubles in a cache line of 64 bytes, and vectors that touch one: at least one. */
enum { BP_LINE = 8, BP_VECS_OF_LINE = (BP_LINE + BP_LANES - 1) / BP_LANES };

/* Start to fetch the cache line of p, which is read soon. It may lie beyond an array: a prefetch
 * never faults. */
BP_INLINE void bp_fetch(const double *p) {
#ifdef __GNUC__
    __builtin_prefetch(p);
#else
    (void)p;
#endif
}

/* The same, but only into the second-level cache, which can have more lines under way at a time
 * than the first-level cache. */
BP_INLINE void bp_fetch_to_second(const double *p) {
#ifdef __GNUC__
    __builtin_prefetch(p, 0, 2);
#else
    (void)p;
#endif
}

/* |v|: the sign bit, the highest, cleared. */
BP_INLINE bp_vec bp_abs(bp_vec v) {
    return bp_from_bits(bp_bits(v) & UINT64_C(0x7fffffffffffffff));
}

/* |v| with the sign of s. */
BP_INLINE bp_vec bp_copysign(bp_vec v, bp_vec s) {
    return bp_from_bits((bp_bits(v) & UINT64_C(0x7fffffffffffffff)) |
                        (bp_bits(s) & UINT64_C(0x8000000000000000)));
}

/* The last vector of an array, in part. Lanes outside read as 2.0, for which every elementary
 * function and activation takes its quick phase. */
BP_INLINE bp_vec bp_load_last(const double *p, bp_part part) {
    return bp_keep(part, bp_load_part(p, part), bp_set(2.0));
}

/* to[j] = factor*x[j] for n numbers; to may be x. */
BP_INLINE void bp_scaled(ptrdiff_t n, double factor, const double *x, double *to) {
    ptrdiff_t j = 0;
    for (; j + BP_LANES <= n; j += BP_LANES)
        bp_store(to + j, factor * bp_load(x + j));
    for (; j < n; j++)
        to[j] = factor * x[j];
}

/* A bit for each lane. */
enum { BP_ALL_LANES = (1 << BP_LANES) - 1 };

/* The lanes that are not in the mask, as bits. */
BP_INLINE unsigned bp_others(bp_mask mask) { return ~bp_lanes_of(mask) & BP_ALL_LANES; }

/* The number, from 0, of the lowest bit that is set in a word other than 0. */
BP_INLINE int bp_lowest_bit(uint64_t word) {
#if defined(__GNUC__) && !defined(BP_PLAIN_C)
    return __builtin_ctzll(word);
#else
    /* word & -word is that bit alone. The factor is a de Bruijn sequence: shifted by k its six
     * highest bits differ for every k (Leiserson, Prokop and Randall 1998). */
    static const unsigned char place[64] = {
        0,  1,  2,  53, 3,  7,  54, 27, 4,  38, 41, 8,  34, 55, 48, 28, 62, 5,  39, 46, 44, 42,
        22, 9,  24, 35, 59, 56, 49, 18, 29, 11, 63, 52, 6,  26, 37, 40, 33, 47, 61, 45, 43, 21,
        23, 58, 17, 10, 51, 25, 36, 32, 60, 20, 57, 16, 50, 31, 19, 15, 30, 14, 13, 12};
    return place[(word & -word) * UINT64_C(0x022fdd63cc95386d) >> 58];
#endif
}

#endif
